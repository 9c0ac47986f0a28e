//! The network between processes: connections that keep the order of their bytes, and nothing else.
//!
//! What is sent arrives after a delay that the seed chooses. A way that is cut holds what is sent on it, as TCP sends it
//! again and again, until the way is whole again. A process that dies closes its connections; a machine that dies does
//! not, and whoever writes to it after it is back is told that the connection is gone.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io::{ErrorKind as IoErrorKind, Result as IoResult};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

mod ends;

/// A machine. Nodes are numbered from 0, servers from [`SERVERS`].
pub(super) type Host = usize;
/// The number of the first server.
pub(super) const SERVERS: Host = 100;
/// The longest that a connection takes to be given up.
const SYN_PATIENCE: Duration = Duration::from_secs(60);
/// How often a connection is asked for again.
const SYN_AGAIN: Duration = Duration::from_secs(1);
/// What may be on its way in one direction.
const IN_FLIGHT: usize = 1 << 20;

/// Shared by all processes.
#[derive(Clone)]
pub(super) struct Network(Arc<Mutex<Inner>>);

struct Inner {
    random: fastrand::Rng,
    /// The ways that are cut, each in one direction.
    cut: HashSet<(Host, Host)>,
    /// The ways that are slow, and by how much.
    slow: HashMap<(Host, Host), Duration>,
    /// Machines without power.
    off: HashSet<Host>,
    listeners: HashMap<(Host, u16), Listener>,
    lanes: Vec<std::sync::Weak<Mutex<Lane>>>,
}

/// What comes in at a port.
#[derive(Clone, Default)]
pub(super) struct Listener(Arc<Mutex<(VecDeque<Stream>, Option<Waker>)>>);

/// One direction of a connection.
struct Lane {
    from: Host,
    to: Host,
    queue: VecDeque<(Instant, Sent)>,
    in_flight: usize,
    last: Instant,
    is_cut: bool,
    /// Its machine lost power: nothing comes any more.
    is_lost: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

enum Sent {
    Bytes(Vec<u8>),
    /// The other side has closed it; or, with an error, is gone.
    End(bool),
}

/// One end of a connection.
pub(super) struct Stream {
    network: Network,
    comes: Arc<Mutex<Lane>>,
    goes: Arc<Mutex<Lane>>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Of what has come, what was not read yet.
    rest: VecDeque<u8>,
    ended: Option<bool>,
}

impl Network {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            random: fastrand::Rng::with_seed(seed),
            cut: HashSet::new(),
            slow: HashMap::new(),
            off: HashSet::new(),
            listeners: HashMap::new(),
            lanes: Vec::new(),
        })))
    }

    /// Listens at a port, in place of whoever did before.
    pub(super) fn listen(&self, host: Host, port: u16) -> Listener {
        let listener = Listener::default();
        let before = self
            .0
            .lock()
            .listeners
            .insert((host, port), listener.clone());
        // What waited there is closed, which takes the lock.
        drop(before);
        listener
    }

    /// Nobody listens there any more.
    pub(super) fn deaf(&self, host: Host) {
        let deaf = self.0.lock().take_listeners(host);
        drop(deaf);
    }

    /// The way from one to the other is cut, or whole again.
    pub(super) fn cut(&self, from: Host, to: Host, is_cut: bool) {
        let mut inner = self.0.lock();
        match is_cut {
            true => inner.cut.insert((from, to)),
            false => inner.cut.remove(&(from, to)),
        };
        let lanes: Vec<_> = inner
            .lanes
            .iter()
            .filter_map(std::sync::Weak::upgrade)
            .collect();
        for lane in lanes {
            let again = inner.delay(from, to) * 3;
            let mut lane = lane.lock();
            if (lane.from, lane.to) == (from, to) {
                lane.set_cut(is_cut, again);
            }
        }
    }

    pub(super) fn slow(&self, from: Host, to: Host, by: Duration) {
        let slow = &mut self.0.lock().slow;
        match by.is_zero() {
            true => slow.remove(&(from, to)),
            false => slow.insert((from, to), by),
        };
    }

    /// The machine loses its power: what it has open is never closed.
    pub(super) fn power_off(&self, host: Host) {
        let mut inner = self.0.lock();
        inner.off.insert(host);
        let deaf = inner.take_listeners(host);
        for lane in inner.lanes.iter().filter_map(std::sync::Weak::upgrade) {
            let mut lane = lane.lock();
            lane.is_lost |= lane.from == host || lane.to == host;
        }
        drop(inner);
        drop(deaf);
    }

    pub(super) fn power_on(&self, host: Host) {
        self.0.lock().off.remove(&host);
    }

    /// All ways are whole and fast.
    pub(super) fn mend(&self) {
        let cut: Vec<_> = {
            let mut inner = self.0.lock();
            inner.slow.clear();
            let mut cut: Vec<_> = inner.cut.iter().copied().collect();
            cut.sort_unstable();
            cut
        };
        cut.into_iter()
            .for_each(|(from, to)| self.cut(from, to, false));
    }

    /// Connects as TCP does: refused where nobody listens, without an answer where the way is cut.
    pub(super) async fn connect(&self, from: Host, to: Host, port: u16) -> IoResult<Stream> {
        let begun = Instant::now();
        loop {
            let there = self.0.lock().delay(from, to);
            tokio::time::sleep(there).await;
            if let Some(answered) = self.shake_hands(from, to, port) {
                let back = self.0.lock().delay(to, from);
                tokio::time::sleep(back).await;
                return answered;
            }
            if begun.elapsed() > SYN_PATIENCE {
                return Err(IoErrorKind::TimedOut.into());
            }
            tokio::time::sleep(SYN_AGAIN).await;
        }
    }

    /// Nothing: no answer.
    fn shake_hands(&self, from: Host, to: Host, port: u16) -> Option<IoResult<Stream>> {
        let mut inner = self.0.lock();
        let is_cut = [(from, to), (to, from)]
            .iter()
            .any(|way| inner.cut.contains(way));
        if is_cut || inner.off.contains(&to) || inner.off.contains(&from) {
            return None;
        }
        let Some(listener) = inner.listeners.get(&(to, port)).cloned() else {
            return Some(Err(IoErrorKind::ConnectionRefused.into()));
        };
        let lane = |from, to| {
            Arc::new(Mutex::new(Lane {
                from,
                to,
                queue: VecDeque::new(),
                in_flight: 0,
                last: Instant::now(),
                is_cut: false,
                is_lost: false,
                reader: None,
                writer: None,
            }))
        };
        let (forth, back) = (lane(from, to), lane(to, from));
        inner.lanes.retain(|lane| lane.strong_count() > 0);
        inner
            .lanes
            .extend([Arc::downgrade(&forth), Arc::downgrade(&back)]);
        drop(inner);
        let ours = Stream::new(self, Arc::clone(&back), Arc::clone(&forth));
        listener.take(Stream::new(self, forth, back));
        Some(Ok(ours))
    }
}

impl Inner {
    fn take_listeners(&mut self, host: Host) -> Vec<Listener> {
        let of_host = self.listeners.extract_if(|(of, _), _| *of == host);
        of_host.map(|(_, listener)| listener).collect()
    }

    fn delay(&mut self, from: Host, to: Host) -> Duration {
        let usual = Duration::from_micros(self.random.u64(50..800));
        let late = match self.random.u32(..400) {
            0 => Duration::from_millis(self.random.u64(5..250)),
            1..8 => Duration::from_millis(self.random.u64(1..12)),
            _ => Duration::ZERO,
        };
        usual + late + self.slow.get(&(from, to)).copied().unwrap_or_default()
    }
}

impl Listener {
    fn take(&self, stream: Stream) {
        let mut waiting = self.0.lock();
        waiting.0.push_back(stream);
        if let Some(waker) = waiting.1.take() {
            waker.wake();
        }
    }

    pub(super) async fn accept(&self) -> Stream {
        std::future::poll_fn(|cx| {
            let mut waiting = self.0.lock();
            match waiting.0.pop_front() {
                Some(stream) => Poll::Ready(stream),
                None => {
                    waiting.1 = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }
}

impl Lane {
    fn set_cut(&mut self, is_cut: bool, again: Duration) {
        self.is_cut = is_cut;
        if !is_cut {
            let from = Instant::now() + again;
            for (at, _) in &mut self.queue {
                *at = (*at).max(from);
            }
            self.last = self.last.max(from);
            self.wake_reader();
        }
    }

    fn send(&mut self, delay: Duration, sent: Sent) {
        if self.is_lost {
            return;
        }
        self.last = self.last.max(Instant::now() + delay);
        if let Sent::Bytes(bytes) = &sent {
            self.in_flight += bytes.len();
        }
        self.queue.push_back((self.last, sent));
        self.wake_reader();
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }
}

impl Stream {
    fn new(network: &Network, comes: Arc<Mutex<Lane>>, goes: Arc<Mutex<Lane>>) -> Self {
        Self {
            network: network.clone(),
            comes,
            goes,
            timer: None,
            rest: VecDeque::new(),
            ended: None,
        }
    }

    fn send(&self, sent: Sent) {
        let (from, to) = {
            let lane = self.goes.lock();
            (lane.from, lane.to)
        };
        let delay = self.network.0.lock().delay(from, to);
        self.goes.lock().send(delay, sent);
    }

    /// Its machine was without power in the meantime: whoever writes is told so, if the way is whole.
    fn is_gone(&self) -> bool {
        let (from, to, is_lost) = {
            let lane = self.goes.lock();
            (lane.from, lane.to, lane.is_lost)
        };
        let inner = self.network.0.lock();
        is_lost
            && !inner.off.contains(&to)
            && !inner.cut.contains(&(from, to))
            && !inner.cut.contains(&(to, from))
    }

    fn poll_some(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.rest.is_empty() || self.ended.is_some() {
                return Poll::Ready(());
            }
            let mut lane = self.comes.lock();
            lane.reader = Some(cx.waker().clone());
            if lane.is_cut {
                return Poll::Pending;
            }
            let Some((at, _)) = lane.queue.front() else {
                return Poll::Pending;
            };
            let at = *at;
            if at > Instant::now() {
                drop(lane);
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
                if timer.deadline() != at {
                    timer.as_mut().reset(at);
                }
                match timer.as_mut().poll(cx) {
                    Poll::Ready(()) => continue,
                    Poll::Pending => return Poll::Pending,
                }
            }
            match lane.queue.pop_front().map(|(_, sent)| sent) {
                Some(Sent::Bytes(bytes)) => {
                    lane.in_flight -= bytes.len();
                    if let Some(waker) = lane.writer.take() {
                        waker.wake();
                    }
                    self.rest.extend(bytes);
                }
                Some(Sent::End(in_order)) => self.ended = Some(in_order),
                None => {}
            }
        }
    }
}
