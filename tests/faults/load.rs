//! Clients that ask at a steady pace, whatever the answers take, and note how each was.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::ledger::{Ledger, Question, Verdict};

/// Who waits longer has no answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// So far a client may be behind its pace.
const MOST_BEHIND: Duration = Duration::from_secs(1);
/// So many of the last answers are late ones.
const LATE: usize = 200;
/// What went wrong is told of so many.
const TOLD: usize = 12;

/// How one request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Right { hit: bool },
    Stale,
    Excused,
    Wrong,
    Failed,
}

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    /// When it was due, or sent if its client was on time.
    pub(crate) began: Instant,
    pub(crate) sent: Instant,
    pub(crate) took: Duration,
    pub(crate) end: End,
}

/// What clients have seen so far.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Which of the last answers were hits, and how they were.
    late: Mutex<VecDeque<(bool, String)>>,
    pub(crate) told: Mutex<Vec<String>>,
    pub(crate) requests: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) wrong: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// The longest time after a split at which a node that is cut off answered with what was purged, in milliseconds.
    pub(crate) longest_excused: AtomicU64,
}

impl Seen {
    /// Hits in parts of the last answers.
    pub(crate) fn hits_of_late(&self) -> f64 {
        let late = self.late.lock();
        let hits = late.iter().filter(|(hit, _)| *hit).count();
        hits as f64 / LATE.min(late.len().max(LATE / 4)) as f64
    }

    /// How the last answers were, and how many of them.
    pub(crate) fn how_of_late(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, how) in self.late.lock().iter() {
            *counts.entry(how.clone()).or_default() += 1;
        }
        counts
    }

    fn tell(&self, what: String) {
        let mut told = self.told.lock();
        if told.len() < TOLD {
            told.push(what);
        }
    }

    /// What an answer is, and what it is counted as.
    pub(crate) fn note(
        &self,
        ledger: &Ledger,
        question: Question,
        answer: Result<Answer, String>,
    ) -> End {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let count = |of: &AtomicU64, what: String, end| {
            of.fetch_add(1, Ordering::SeqCst);
            self.tell(what);
            end
        };
        let how = match &answer {
            Ok(answer) => answer.how(question.node),
            Err(why) => why.clone(),
        };
        let end = match answer {
            Err(why) => count(&self.failed, format!("no answer: {why}"), End::Failed),
            Ok(answer) => match ledger.judge(question, &answer.body) {
                Verdict::Right => End::Right { hit: answer.hit },
                Verdict::Wrong(what) => count(&self.wrong, format!("wrong: {what}"), End::Wrong),
                Verdict::Stale(what) => count(
                    &self.stale,
                    format!("stale: {what}, {} {}", answer.rule, answer.status),
                    End::Stale,
                ),
                Verdict::Excused(after) => {
                    let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                    self.longest_excused.fetch_max(millis, Ordering::SeqCst);
                    End::Excused
                }
            },
        };
        let mut late = self.late.lock();
        late.push_back((end == End::Right { hit: true }, how));
        if late.len() > LATE {
            late.pop_front();
        }
        end
    }
}

pub(crate) struct Load {
    pub(crate) seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Sample>>>,
}

/// What clients ask for, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    pub(crate) nodes: Vec<SocketAddr>,
    /// Of the first pages.
    pub(crate) pages: usize,
    /// Requests a second, of all clients.
    pub(crate) rate: u32,
    pub(crate) clients: usize,
    /// Whether samples are kept.
    pub(crate) keep: bool,
}

impl Load {
    pub(crate) fn start(ledger: &Arc<Ledger>, asking: &Asking) -> Self {
        let (seen, stop) = (Arc::<Seen>::default(), Arc::<AtomicBool>::default());
        let client = |number| {
            let client = Client {
                ledger: Arc::clone(ledger),
                seen: Arc::clone(&seen),
                stop: Arc::clone(&stop),
                asking: asking.clone(),
                number,
            };
            tokio::spawn(client.run())
        };
        Self {
            tasks: (0..asking.clients).map(client).collect(),
            seen,
            stop,
        }
    }

    pub(crate) async fn stop(self) -> Vec<Sample> {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Vec::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

struct Client {
    ledger: Arc<Ledger>,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
    asking: Asking,
    number: usize,
}

impl Client {
    async fn run(self) -> Vec<Sample> {
        let Asking {
            nodes,
            pages,
            rate,
            clients,
            keep,
        } = &self.asking;
        let node = self.number % nodes.len();
        let mut random = fastrand::Rng::with_seed(self.number as u64);
        let mut all = Vec::new();
        let mut connection = Connection::to(nodes[node]);
        let interval = Duration::from_secs_f64(*clients as f64 / f64::from(*rate));
        let mut due = Instant::now() + interval.mul_f64(self.number as f64 / *clients as f64);
        while !self.stop.load(Ordering::SeqCst) {
            // Who comes late because the last answer took long has waited since it was due; who is on time was only woken late.
            let late = Instant::now() > due;
            sleep_until(due).await;
            let sent = Instant::now();
            let began = if late { due } else { sent };
            let rule = ["near", "strict"][random.usize(..2)];
            let question = self.ledger.ask(node, random.usize(..*pages));
            let answer = connection.get(rule, question.page).await;
            let end = self.seen.note(&self.ledger, question, answer);
            let took = began.elapsed();
            if *keep {
                all.push(Sample {
                    began,
                    sent,
                    took,
                    end,
                });
            }
            // Nobody sends all at once what a long wait has kept him from.
            due = (due + interval).max(Instant::now() - MOST_BEHIND);
        }
        all
    }
}

/// What a client got: a whole answer of status 200.
#[derive(Debug)]
pub(crate) struct Answer {
    rule: String,
    pub(crate) hit: bool,
    pub(crate) status: String,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Node, rule, and what the cache says, without its numbers.
    fn how(&self, node: usize) -> String {
        let (status, _) = self
            .status
            .split_once("; ttl")
            .unwrap_or((&self.status, ""));
        format!("{node} {} {status}", self.rule)
    }
}

/// A client's connection, made anew where it was closed.
pub(crate) struct Connection {
    to: SocketAddr,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Connection {
    pub(crate) const fn to(to: SocketAddr) -> Self {
        Self { to, sender: None }
    }

    /// Asks for a page by one of the rules.
    pub(crate) async fn get(&mut self, rule: &str, page: usize) -> Result<Answer, String> {
        let answer = timeout(PATIENCE, self.ask(rule, page)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("none in {PATIENCE:?}")));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn ask(&mut self, rule: &str, page: usize) -> Result<Answer, String> {
        let ready = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !ready {
            // A connection that was closed between two requests is no error of anybody.
            self.sender = Some(connect(self.to).await?);
        }
        let sender = self.sender.as_mut().expect("it was just made");
        let request = Request::get(format!("/{rule}/{page}")).header("host", "lab");
        let request = request.body(Empty::new()).expect("a good request");
        let told = |error: hyper::Error| error.to_string();
        let response = sender.send_request(request).await.map_err(told)?;
        let field = response.headers().get("cache-status");
        let status = field.and_then(|field| field.to_str().ok());
        let status = status.unwrap_or_default().to_owned();
        let code = response.status();
        let body = response.into_body().collect().await.map_err(told)?;
        if code != http::StatusCode::OK {
            return Err(format!("{code}, {status}"));
        }
        let hit = status.contains("; hit");
        Ok(Answer {
            rule: rule.to_owned(),
            hit,
            status,
            body: body.to_bytes(),
        })
    }
}

async fn connect(to: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, String> {
    let told = |error: &dyn std::fmt::Display| format!("no connection: {error}");
    let socket = TcpStream::connect(to).await.map_err(|error| told(&error))?;
    socket.set_nodelay(true).map_err(|error| told(&error))?;
    let (sender, connection) = handshake(TokioIo::new(socket))
        .await
        .map_err(|error| told(&error))?;
    tokio::spawn(connection);
    Ok(sender)
}
