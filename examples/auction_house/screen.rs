//! What the example prints: one line for each request, each change of the data, each purge.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tower_tagcache::{Cache, Notice, Observer};

use crate::Arguments;
use crate::database::AUCTIONS;

const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const BLUE: u8 = 34;
const MAGENTA: u8 = 35;
const RED: u8 = 31;

/// Purges that this copy has appended to the log.
static OWN: AtomicU64 = AtomicU64::new(0);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Standard output, in colour if somebody looks at it. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen {
    start: Instant,
    /// By somebody, at a terminal.
    is_watched: bool,
    colour: bool,
}

impl Screen {
    pub(crate) fn new() -> Self {
        let is_watched = std::io::stdout().is_terminal();
        Self {
            start: Instant::now(),
            is_watched,
            colour: is_watched && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    /// What there is to see, and how.
    pub(crate) fn introduce(self, at: SocketAddr, arguments: &Arguments) {
        // The one that changes least, so that there is more to see than changes.
        let auction = AUCTIONS[3];
        let page = match self.is_watched && !arguments.no_page {
            true => "\nOpen that in a browser to see it at work.\n",
            false => "",
        };
        self.write(format_args!(
            "The auction house is open at http://{at}
{page}
Its origin takes 40 ms for an answer, a hit next to nothing. Try, in another
terminal, the second line twice:

  A=http://{at}/auctions/{auction}
  curl -i $A

and look at `cache-status`: first `fwd=uri-miss; stored`, then `hit`. Each chain
event changes an auction and purges exactly what showed it, however fresh. So
the sales in

  while sleep 0.2; do curl -s $A; echo; done

never lag behind, though nearly all of these answers are hits. Watch a sale come,
and never find old data after it:

  curl -N http://{at}/events/auction/{auction}

Other pages:

  curl -i 'http://{at}/auctions?status=active&page=1&limit=2'
  curl -i \"$A/price-history?hours=24\"
  curl 'http://{at}/activity?type=sale&auction={auction}'
  curl 'http://{at}/analytics?by=hour'
  curl -N http://{at}/events/alerts
"
        ));
        let (next, program) = (
            next_to(at),
            "cargo run --release --example auction_house --",
        );
        match &arguments.redis {
            Some(url) => self.write(format_args!(
                "Responses, purges and events are in Redis. Start another copy, and ask it for
the same pages:

  {program} \\
    --redis {url} --listen {next}

What one stores the other serves, and a purge reaches both. Stop Redis, and both
go on.
"
            )),
            None => self.write(format_args!(
                "Everything is in this process. With `--redis redis://127.0.0.1:6379` several
copies share it.
"
            )),
        }
        self.write(format_args!(
            "From here on, what happens (Ctrl-C ends it):\n"
        ));
    }

    /// Answers a request, and prints how long that took and what the cache did.
    pub(crate) async fn request(self, request: Request, next: Next) -> Response {
        let what = format!("{} {}", request.method(), short(&request.uri().to_string()));
        let start = Instant::now();
        let response = next.run(request).await;
        let took = time(start.elapsed());
        let status = response.headers().get("cache-status");
        let status = status.and_then(|value| value.to_str().ok());
        let status = status.unwrap_or("no rule for it");
        let status = status.trim_start_matches("tagcache; ");
        let colour = if status.starts_with("hit") {
            GREEN
        } else {
            YELLOW
        };
        self.line(colour, "request", fitted(&what, &took, status));
        response
    }

    /// Prints purges of other copies, as this one reads of them in the log.
    pub(crate) async fn follow(self, cache: Cache) {
        let mut known = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(at) = cache.position() else {
                continue;
            };
            // Its own are told of before or after they are read; one look later they are.
            tokio::time::sleep(LOOK_EVERY).await;
            let own = OWN.load(Ordering::SeqCst);
            let others = at.ordinal.saturating_sub(own);
            match known {
                Some((epoch, before)) if epoch == at.epoch => {
                    if others > before {
                        let text =
                            format_args!("by another copy: record {} of the log", at.ordinal);
                        self.line(MAGENTA, "purged", text);
                    }
                    known = Some((epoch, others.max(before)));
                }
                _ => known = Some((at.epoch, others)),
            }
        }
    }

    /// The data changed.
    pub(crate) fn chain(self, what: impl Display) {
        self.line(BLUE, "chain", what);
    }

    pub(crate) fn trouble(self, what: impl Display) {
        self.line(RED, "trouble", what);
    }

    fn line(self, colour: u8, kind: &str, text: impl Display) {
        let seconds = self.start.elapsed().as_secs_f64();
        if self.colour {
            self.write(format_args!(
                "{seconds:>7.2}  \x1b[{colour}m{kind:<8}\x1b[0m {text}"
            ));
        } else {
            self.write(format_args!("{seconds:>7.2}  {kind:<8} {text}"));
        }
    }

    fn write(self, text: std::fmt::Arguments<'_>) {
        // Nobody may be reading any more; the API goes on.
        let _ = writeln!(std::io::stdout(), "{text}");
    }
}

impl Observer for Screen {
    fn observe(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Purged { targets, position } => {
                OWN.fetch_add(1, Ordering::SeqCst);
                if *targets == 0 {
                    // Of what only tells: an alert.
                    return;
                }
                let s = if *targets == 1 { "" } else { "s" };
                let at = position.ordinal;
                let text = format_args!("{targets} tag{s}: record {at} of the log");
                self.line(MAGENTA, "purge", text);
            }
            Notice::Announced { updates, .. } => {
                OWN.fetch_add(1, Ordering::SeqCst);
                let s = if *updates == 1 { "" } else { "s" };
                self.line(BLUE, "told", format_args!("{updates} update{s}"));
            }
            Notice::EventGap { stream, reason } => {
                let text = format_args!("{stream}: {reason}, so all that it can touch was purged");
                self.line(MAGENTA, "gap", text);
            }
            Notice::EventQuarantined { stream, id, reason } => {
                self.trouble(format_args!(
                    "entry {id} of {stream} was put aside: {reason}"
                ));
            }
            Notice::StoreFailed { operation, error } => {
                self.trouble(format_args!("{operation}: {error}"));
            }
            Notice::BreakerOpened => {
                self.trouble("Redis does not answer; requests go to the origin");
            }
            Notice::BreakerClosed => self.line(GREEN, "redis", "answers again"),
            _ => {}
        }
    }
}

/// Another port of the same address, for another copy.
fn next_to(at: SocketAddr) -> SocketAddr {
    let port = at.port().checked_add(1).unwrap_or(1024);
    SocketAddr::new(at.ip(), port)
}

/// What is left of 80 columns behind the time and the kind of a line.
const WIDTH: usize = 62;
/// The column in which the duration stands, where the rest of the line leaves so much.
const COLUMN: usize = 30;

/// A request in one line: what does not fit is left out of its middle.
fn fitted(what: &str, took: &str, status: &str) -> String {
    let rest = format!("{took:>6}  {status}");
    let room = WIDTH.saturating_sub(rest.chars().count() + 1);
    let room = room.clamp(12, COLUMN);
    let count = what.chars().count();
    let what = match count <= room {
        true => what.to_owned(),
        false => {
            let (front, back) = (room / 2, room - room / 2 - 1);
            let start: String = what.chars().take(front).collect();
            let end: String = what.chars().skip(count - back).collect();
            format!("{start}…{end}")
        }
    };
    format!("{what:<room$} {rest}")
}

/// `time` with two digits that count.
fn time(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1_000_000.0;
    match micros {
        ..1_000.0 => format!("{micros:.0} µs"),
        ..10_000.0 => format!("{:.1} ms", micros / 1_000.0),
        _ => format!("{:.0} ms", micros / 1_000.0),
    }
}

/// `text` with its addresses as `0xa16e…d2be`.
pub(crate) fn short(text: &str) -> String {
    let mut parts = text.split("0x");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.chars().take_while(char::is_ascii_hexdigit).count();
        short.push_str("0x");
        if digits == 40 {
            short.push_str(&part[..4]);
            short.push('…');
            short.push_str(&part[36..]);
        } else {
            short.push_str(part);
        }
    }
    short
}
