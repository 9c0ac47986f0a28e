//! Couriers with receivers that do as a test says, in virtual time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{AlertSender, Courier, Undelivered};
use crate::activity::contract::{KEEPER, Teller, alert, bounds, raising};
use crate::activity::keeper::KeeperState;
use crate::activity::{ActivityStore, AlertQueue, WaitingAlert};
use crate::clock::{Clock, Timestamp};
use crate::embedded::EmbeddedActivity;

/// The time of Tokio, which a test may pause.
#[derive(Debug)]
struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_392_000_000).plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(3_600) + self.0.elapsed()
    }
}

/// When each alert of a queue was tried, and what came of it.
#[derive(Debug, Default)]
struct Receiver {
    began: Mutex<Option<Instant>>,
    tries: Mutex<Vec<(Box<str>, u128, u64)>>,
    /// What the next tries come to; then all are taken.
    answers: Mutex<VecDeque<Result<(), Undelivered>>>,
    /// Of this rule nothing is ever answered.
    hangs: Option<&'static str>,
}

impl AlertSender for Receiver {
    fn send<'a>(
        &'a self,
        queue: &'a AlertQueue,
        alert: &'a WaitingAlert,
    ) -> BoxFuture<'a, Result<(), Undelivered>> {
        Box::pin(async move {
            let began = *self.began.lock().get_or_insert_with(Instant::now);
            let at = began.elapsed().as_secs();
            self.tries.lock().push((queue.rule.clone(), alert.id, at));
            if self.hangs == Some(&*queue.rule) {
                std::future::pending::<()>().await;
            }
            self.answers.lock().pop_front().unwrap_or(Ok(()))
        })
    }
}

struct Site {
    store: Arc<dyn ActivityStore>,
    receiver: Arc<Receiver>,
    state: watch::Sender<KeeperState>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Site {
    /// With so many alerts that wait in a queue of each of these rules.
    async fn open(rules: &[&str], alerts: u64, receiver: Receiver) -> Self {
        let store: Arc<dyn ActivityStore> = Arc::new(EmbeddedActivity::new(bounds()));
        let mut teller = Teller::new(&store);
        for block in 1..=alerts {
            let alerts = rules.iter().map(|rule| {
                let queue = format!("{rule}/live");
                let id = u128::from(block) + 1_000 * rule.len() as u128;
                let mut alert = alert(id, &[&queue], None);
                let now = 1_795_392_000_000_u64;
                alert.json = format!("{{\"raised_at\":{now}}}");
                alert
            });
            teller.tell(vec![raising(block, 0, alerts.collect())]).await;
        }
        let receiver = Arc::new(receiver);
        let keeper = Some(KEEPER.into());
        let state = watch::Sender::new(KeeperState {
            keeper,
            ..KeeperState::default()
        });
        let clock = Arc::new(VirtualClock(Instant::now()));
        let courier = Courier::new(Arc::clone(&store), clock, Arc::clone(&receiver) as _);
        let (watched, stop) = (state.subscribe(), CancellationToken::new());
        let stopped = stop.clone();
        let task = tokio::spawn(async move { courier.run(watched, &stopped).await });
        Self {
            store,
            receiver,
            state,
            stop,
            task,
        }
    }

    /// When alerts were tried, in seconds since the first.
    fn times(&self) -> Vec<u64> {
        self.receiver
            .tries
            .lock()
            .iter()
            .map(|(_, _, at)| *at)
            .collect()
    }
}

fn later() -> Result<(), Undelivered> {
    Err(Undelivered::Later("away".to_owned(), None))
}

#[tokio::test(start_paused = true)]
async fn pauses_double_up_to_five_minutes_and_end_after_a_day() {
    let receiver = Receiver::default();
    receiver.answers.lock().extend((0..1_000).map(|_| later()));
    let site = Site::open(&["a"], 1, receiver).await;
    sleep(Duration::from_secs(26 * 3_600)).await;
    let times = site.times();
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (tried, pause) in pauses.iter().enumerate() {
        let longest = 2_u64.saturating_pow(tried as u32).min(300);
        assert!(*pause <= longest + 1, "pause {tried}: {pause}");
        assert!(*pause + 1 >= longest / 2, "pause {tried}: {pause}");
    }
    let last = *times.last().unwrap();
    assert!((86_400..86_400 + 301).contains(&last), "{last}");
    assert_eq!(site.store.failed(10).await.unwrap().len(), 1);
    assert!(site.store.queues().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_fails_after_a_while_and_what_is_gone_at_once() {
    let receiver = Receiver::default();
    let refused = || Err(Undelivered::Refused("403".to_owned()));
    receiver.answers.lock().extend((0..10).map(|_| refused()));
    let gone = Err(Undelivered::Never("410".to_owned()));
    receiver.answers.lock().push_back(gone);
    let site = Site::open(&["a"], 3, receiver).await;
    sleep(Duration::from_secs(3_600)).await;
    let tries: Vec<u128> = site
        .receiver
        .tries
        .lock()
        .iter()
        .map(|(_, id, _)| id % 1_000)
        .collect();
    assert_eq!(tries, [[1; 10].as_slice(), &[2, 3]].concat());
    let failed = site.store.failed(10).await.unwrap();
    let reasons: Vec<&str> = failed.iter().map(|failed| &*failed.reason).collect();
    assert_eq!(reasons, ["410", "403"]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_is_left_alone_for_as_long_as_it_says() {
    let receiver = Receiver::default();
    for seconds in [100, 10_000] {
        let after = Some(Duration::from_secs(seconds));
        let later = Err(Undelivered::Later("429".to_owned(), after));
        receiver.answers.lock().push_back(later);
    }
    let site = Site::open(&["a"], 1, receiver).await;
    sleep(Duration::from_secs(20_000)).await;
    assert_eq!(site.times(), [0, 100, 3_700], "an hour at most");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_hangs_holds_up_no_other() {
    let receiver = Receiver {
        hangs: Some("a"),
        ..Receiver::default()
    };
    let site = Site::open(&["a", "bb", "ccc"], 20, receiver).await;
    sleep(Duration::from_secs(5)).await;
    let tries = site.receiver.tries.lock();
    let of = |rule: &str| tries.iter().filter(|(of, ..)| **of == *rule).count();
    assert_eq!((of("a"), of("bb"), of("ccc")), (1, 20, 20));
    assert!(tries.iter().all(|(_, _, at)| *at == 0), "at once");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_the_keeper_sends_nothing() {
    let site = Site::open(&["a"], 1, Receiver::default()).await;
    site.state.send_modify(|state| state.keeper = None);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(site.times(), NOTHING);
    site.state
        .send_modify(|state| state.keeper = Some(KEEPER.into()));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(site.times(), [0]);
}

const NOTHING: [u64; 0] = [];

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_begins_nothing_and_waits_for_nobody_for_long() {
    let receiver = Receiver {
        hangs: Some("a"),
        ..Receiver::default()
    };
    receiver.answers.lock().push_back(later());
    let site = Site::open(&["a", "bb"], 2, receiver).await;
    sleep(Duration::from_millis(1)).await;
    site.stop.cancel();
    let began = Instant::now();
    site.task.await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(6));
    assert_eq!(site.receiver.tries.lock().len(), 2);
    assert_eq!(
        site.store.queues().await.unwrap().len(),
        2,
        "others go on with them"
    );
}
