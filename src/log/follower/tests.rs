use std::sync::atomic::AtomicUsize;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::clock::ManualClock;
use crate::embedded::EmbeddedLog;
use crate::log::{Keep, NumberedRecord, PurgeRecord, Receipt, Tail};
use crate::position::Epoch;

/// A log on a server that can be away.
#[derive(Debug)]
struct Remote {
    log: EmbeddedLog,
    away: AtomicBool,
    appends: AtomicUsize,
    pulse: Arc<Pulse>,
}

impl Remote {
    fn there<T>(&self, value: BoxFuture<'_, Result<T, Error>>) -> Result<T, Error> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Unavailable, "away"));
        }
        value.now_or_never().expect("it is in this process")
    }
}

impl Log for Remote {
    fn append<'a>(&'a self, record: &'a PurgeRecord) -> BoxFuture<'a, Result<Receipt, Error>> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        async move { self.there(self.log.append(record)) }.boxed()
    }

    fn append_in<'a>(
        &'a self,
        record: &'a PurgeRecord,
        epoch: Epoch,
    ) -> BoxFuture<'a, Result<Option<Receipt>, Error>> {
        async move { self.there(self.log.append_in(record, epoch)) }.boxed()
    }

    fn tip(&self) -> BoxFuture<'_, Result<Tip, Error>> {
        async move {
            let tip = self.there(self.log.tip());
            match tip {
                Ok(_) => self.pulse.answered(),
                Err(_) => self.pulse.missed(),
            }
            tip
        }
        .boxed()
    }

    fn tail(&self, limit: usize) -> BoxFuture<'_, Result<Tail, Error>> {
        async move { self.there(self.log.tail(limit)) }.boxed()
    }

    fn read_after(
        &self,
        after: Position,
        wait: Duration,
    ) -> BoxFuture<'_, Result<Vec<NumberedRecord>, Error>> {
        async move {
            self.there(self.log.read_after(after, Duration::ZERO))?;
            self.log.read_after(after, wait).await
        }
        .boxed()
    }

    fn trim(&self, _: Keep) -> BoxFuture<'_, Result<(), Error>> {
        async { Ok(()) }.boxed()
    }

    fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }
}

/// SAFETY 89: after a minute the pauses are as long as they get, five seconds; the heartbeat ends them. The time
/// is that of the runtime, which stands still while anything can run.
#[tokio::test(start_paused = true)]
async fn safety_89_purges_that_wait_are_appended_when_a_heartbeat_is_answered() {
    let clock = ManualClock::default();
    let remote = Arc::new(Remote {
        log: EmbeddedLog::new(&clock),
        away: AtomicBool::new(true),
        appends: AtomicUsize::new(0),
        pulse: Arc::default(),
    });
    let given = crate::Cache::builder().clock(clock);
    let store = crate::embedded::EmbeddedStore::new(
        remote.log.clone(),
        Arc::new(ManualClock::default()),
        1 << 20,
    );
    let (cache, companion) = given
        .backend(Arc::clone(&remote) as Arc<dyn Log>, Arc::new(store))
        .build()
        .expect("no rule is wrong");
    let running = tokio::spawn(companion.run(std::future::pending()));
    for away in [3, 60, 7, 600] {
        remote.away.store(true, Ordering::SeqCst);
        cache.purger().tag("x").await.expect_err("it is away");
        sleep(Duration::from_secs(away)).await;
        assert!(remote.pulse.is_silent());
        assert_eq!(cache.health().waiting, 1);
        let tried = remote.appends.load(Ordering::SeqCst);
        remote.away.store(false, Ordering::SeqCst);
        let back = Instant::now();
        while cache.health().waiting > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        assert!(
            back.elapsed() <= super::beat::BEAT_AGAIN * 2,
            "{:?}",
            back.elapsed()
        );
        assert!(remote.appends.load(Ordering::SeqCst) - tried <= 2);
    }
    running.abort();
}
