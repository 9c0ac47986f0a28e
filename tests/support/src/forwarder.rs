//! A TCP forwarder that can cut, stall, swallow, delay and switch, and counts round trips.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// The most reads that are under way on a connection, in each direction.
const UNDER_WAY: usize = 16 * 1024;

/// Forwards connections to a server. Ends when dropped.
#[derive(Debug)]
pub struct Forwarder {
    shared: Arc<Shared>,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: Mutex<SocketAddr>,
    /// How bytes are treated, and how often connections were cut.
    mode: watch::Sender<(Mode, u64)>,
    accepted: AtomicU64,
    round_trips: AtomicU64,
    /// Bytes a second that the server may send over each connection; 0: as many as it likes.
    rate: AtomicU64,
    /// Microseconds that bytes are on their way, in each direction.
    delay: AtomicU64,
    /// How many pieces more clients may send before all is lost; 0: any number.
    left: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Connections are accepted and live, but nothing passes.
    Stall,
    /// Connections are accepted and live, and what is sent is lost: a connection that lost anything is dead for
    /// ever, and no end of the socket tells.
    Swallow,
    /// Nothing that the server says passes on connections on which somebody has waited for something (`BLOCK`).
    HoldWaiting,
    /// Connections are accepted and closed at once.
    Refuse,
}

impl Forwarder {
    /// Forwards to `target` from a free loopback port.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            target: Mutex::new(target),
            mode: watch::Sender::new((Mode::Pass, 0)),
            accepted: AtomicU64::new(0),
            round_trips: AtomicU64::new(0),
            rate: AtomicU64::new(0),
            delay: AtomicU64::new(0),
            left: AtomicU64::new(0),
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, addr, task }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Closes all connections; new ones are forwarded.
    pub fn cut(&self) {
        self.shared.mode.send_modify(|(_, cuts)| *cuts += 1);
    }

    /// Closes all connections, and new ones as they come, until [`resume`](Self::resume).
    pub fn refuse(&self) {
        self.shared
            .mode
            .send_modify(|mode| *mode = (Mode::Refuse, mode.1 + 1));
    }

    /// Lets nothing pass any more, in either direction; what was sent is delivered on resuming.
    pub fn stall(&self) {
        self.shared
            .mode
            .send_modify(|(mode, _)| *mode = Mode::Stall);
    }

    /// Lets the server send so many bytes a second over each connection.
    pub fn slow(&self, bytes_a_second: u64) {
        self.shared.rate.store(bytes_a_second, Ordering::SeqCst);
    }

    /// Puts the server so far away: what is sent from now on arrives after `one_way`, in either direction, and as much as
    /// anybody likes is on its way meanwhile.
    pub fn delay(&self, one_way: Duration) {
        let micros = u64::try_from(one_way.as_micros()).expect("a short time");
        self.shared.delay.store(micros, Ordering::SeqCst);
    }

    /// Lets clients send so many pieces more, and then loses all: what the server says to the last of them too. A piece is
    /// what one write sends, unless it is long.
    pub fn lose_after(&self, pieces: u64) {
        self.shared.left.store(pieces, Ordering::SeqCst);
    }

    /// Waits until what is sent is lost.
    pub async fn loses(&self) {
        let mut mode = self.shared.mode.subscribe();
        let lost = mode.wait_for(|(mode, _)| *mode == Mode::Swallow).await;
        lost.expect("the forwarder lives");
    }

    /// Loses what is sent, in either direction, until [`resume`](Self::resume): half-open TCP.
    pub fn swallow(&self) {
        self.shared
            .mode
            .send_modify(|(mode, _)| *mode = Mode::Swallow);
    }

    /// Who waits for something hears nothing, until [`resume`](Self::resume), and all others what there is: a follower
    /// hangs while its node has heartbeats.
    pub fn hold_waiting(&self) {
        self.shared
            .mode
            .send_modify(|mode| mode.0 = Mode::HoldWaiting);
    }

    pub fn resume(&self) {
        self.shared.left.store(0, Ordering::SeqCst);
        self.shared.mode.send_modify(|(mode, _)| *mode = Mode::Pass);
    }

    /// Forwards new connections to `target`; the present ones stay where they are.
    pub fn switch(&self, target: SocketAddr) {
        *self.shared.target.lock().expect("no panic holds it") = target;
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How often, over all connections, the client began to send after the server had spoken: what
    /// one pipelined write adds is one, however many segments it takes.
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips.load(Ordering::SeqCst)
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// One piece more was sent.
    fn count_down(&self) {
        let counted = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if counted == Ok(1) {
            self.mode.send_modify(|(mode, _)| *mode = Mode::Swallow);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, and the connections with it.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        connections.spawn(forward(client, Arc::clone(&shared)));
    }
}

async fn forward(client: TcpStream, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    let (now, cuts) = *mode.borrow_and_update();
    if now == Mode::Refuse {
        return;
    }
    let target = *shared.target.lock().expect("no panic holds it");
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let server_spoke = AtomicBool::new(true);
    let unlimited = AtomicU64::new(0);
    let dead = AtomicBool::new(now == Mode::Swallow);
    let waits = AtomicBool::new(false);
    let (for_up, for_down) = (shared.mode.subscribe(), shared.mode.subscribe());
    let anybody = |mode: Mode| matches!(mode, Mode::Pass | Mode::Swallow | Mode::HoldWaiting);
    let up = pump(
        from_client,
        to_server,
        (for_up, anybody),
        (&unlimited, &shared.delay),
        &dead,
        |sent| {
            shared.count_down();
            if sent.windows(5).any(|word| word == b"BLOCK") {
                waits.store(true, Ordering::SeqCst);
            }
            if server_spoke.swap(false, Ordering::SeqCst) {
                shared.round_trips.fetch_add(1, Ordering::SeqCst);
            }
        },
    );
    let rate = &shared.rate;
    let who_waits_not =
        |mode: Mode| anybody(mode) && (mode != Mode::HoldWaiting || !waits.load(Ordering::SeqCst));
    let down = pump(
        from_server,
        to_client,
        (for_down, who_waits_not),
        (rate, &shared.delay),
        &dead,
        |_| {
            server_spoke.store(true, Ordering::SeqCst);
        },
    );
    tokio::select! {
        () = up => {}
        () = down => {}
        _ = mode.wait_for(|(_, present)| *present != cuts) => {}
    }
}

/// Passes bytes on as long as nothing stalls them.
async fn pump(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    mode: (watch::Receiver<(Mode, u64)>, impl Fn(Mode) -> bool),
    speed: (&AtomicU64, &AtomicU64),
    dead: &AtomicBool,
    passed: impl Fn(&[u8]),
) {
    let (under_way, arriving) = mpsc::channel(UNDER_WAY);
    tokio::join!(
        take(from, under_way, mode, speed, dead, passed),
        deliver(arriving, to)
    );
}

/// Takes what is sent, until the sender ends.
async fn take(
    mut from: OwnedReadHalf,
    under_way: mpsc::Sender<(Instant, Vec<u8>)>,
    (mut mode, passes): (watch::Receiver<(Mode, u64)>, impl Fn(Mode) -> bool),
    (rate, delay): (&AtomicU64, &AtomicU64),
    dead: &AtomicBool,
    passed: impl Fn(&[u8]),
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        match mode.wait_for(|mode| passes(mode.0)).await {
            Ok(mode) if mode.0 == Mode::Swallow => dead.store(true, Ordering::SeqCst),
            Ok(_) => {}
            Err(_) => return,
        }
        if dead.load(Ordering::SeqCst) {
            continue;
        }
        passed(&buffer[..count]);
        let delay = Duration::from_micros(delay.load(Ordering::SeqCst));
        let sent = (Instant::now() + delay, buffer[..count].to_vec());
        if under_way.send(sent).await.is_err() {
            return;
        }
        let rate = rate.load(Ordering::SeqCst);
        if rate > 0 {
            let seconds = count as f64 / rate as f64;
            tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
        }
    }
}

/// Delivers what is under way when it is due.
async fn deliver(mut arriving: mpsc::Receiver<(Instant, Vec<u8>)>, mut to: OwnedWriteHalf) {
    while let Some((due, bytes)) = arriving.recv().await {
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        if to.write_all(&bytes).await.is_err() {
            return;
        }
    }
}
