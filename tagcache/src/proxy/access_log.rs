//! The access log: one line for each request of a client, written behind its back.
//!
//! A line is made when the response is over and handed to a thread of its own. Where that does not keep up, lines are
//! dropped and counted: no request ever waits for its line.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, Version};
use serde_json::json;

use crate::proxy::{AccessFormat, AccessLogSettings, ProxyError};
use crate::setting::ACCESS_LOG_PATH;
use tower_tagcache::live::mask_tickets;

/// Lines that wait to be written; about 1 MB.
const QUEUE: usize = 4096;
/// Longer targets are cut.
const MAX_TARGET: usize = 2048;
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// How seldom lost lines are told.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Where lines go. A cheap clone.
#[derive(Debug, Clone)]
pub(super) struct AccessLog(Arc<LogState>);

#[derive(Debug)]
struct LogState {
    lines: SyncSender<String>,
    lost: Arc<AtomicU64>,
    format: AccessFormat,
    one_in: u64,
    requests: AtomicU64,
}

impl AccessLog {
    /// Opens the file, to append to it, and starts the thread that writes.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(settings: &AccessLogSettings) -> Result<Self, ProxyError> {
        let path = &settings.path;
        let to: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            let shown = || path.display().to_string();
            let opened = opened.map_err(|error| {
                ProxyError::because("the access log cannot be opened", error)
                    .about(ACCESS_LOG_PATH, shown())
            })?;
            Box::new(opened)
        };
        let (lines, queue) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let writer = thread::Builder::new().name("access-log".to_owned());
        let started = writer.spawn(move || write_all(BufWriter::new(to), &queue, &counted));
        started.map_err(|error| ProxyError::because("the access log has no thread", error))?;
        Ok(Self(Arc::new(LogState {
            lines,
            lost,
            format: settings.format,
            one_in: u64::from(settings.one_in.max(1)),
            requests: AtomicU64::new(0),
        })))
    }

    /// A line for a request that begins, if this one is to have one.
    pub(super) fn begin(
        &self,
        client: IpAddr,
        method: &Method,
        target: &Uri,
        version: Version,
    ) -> Option<Box<Line>> {
        let number = self.0.requests.fetch_add(1, Relaxed);
        if !number.is_multiple_of(self.0.one_in) {
            return None;
        }
        let target = target
            .path_and_query()
            .map_or_else(|| target.path(), |target| target.as_str());
        Some(Box::new(Line {
            log: self.clone(),
            at: SystemTime::now(),
            start: Instant::now(),
            client,
            method: method.clone(),
            // First, as a part of a ticket is too much as well.
            target: mask_tickets(target).chars().take(MAX_TARGET).collect(),
            version,
            status: None,
            cache: String::new(),
            bytes: 0,
        }))
    }
}

/// What is known of a request so far. Written when it is dropped.
#[derive(Debug)]
pub(super) struct Line {
    log: AccessLog,
    at: SystemTime,
    start: Instant,
    client: IpAddr,
    method: Method,
    target: String,
    version: Version,
    status: Option<StatusCode>,
    cache: String,
    bytes: u64,
}

impl Line {
    /// The head of the response: the last member of `Cache-Status` is ours.
    pub(super) fn answered(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status);
        let ours = headers.get_all(CACHE_STATUS).iter().next_back();
        let ours = ours
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let ours = ours.strip_prefix("tagcache; ").unwrap_or_default();
        ours.clone_into(&mut self.cache);
    }

    pub(super) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    fn text(&self) -> String {
        // No head was sent: the client went away. 499 is nginx's word for it.
        let status = self.status.map_or(499, |status| status.as_u16());
        let (took, version) = (self.start.elapsed().as_secs_f64(), self.version);
        let date = httpdate::fmt_http_date(self.at);
        match self.log.0.format {
            AccessFormat::Common => {
                let mut line = format!("{} - - [{}] \"{} ", self.client, clf(&date), self.method);
                // What could end the line or its quotes is escaped.
                let _ = write!(
                    line,
                    "{} {version:?}\" {status} {} {took:.6} \"{}\"",
                    self.target.escape_default(),
                    self.bytes,
                    self.cache.escape_default()
                );
                line
            }
            AccessFormat::Json => json!({
                "time": date,
                "client": self.client.to_string(),
                "method": self.method.as_str(),
                "target": self.target,
                "version": format!("{version:?}"),
                "status": status,
                "bytes": self.bytes,
                "seconds": took,
                "cache": self.cache,
            })
            .to_string(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let shared = &self.log.0;
        match shared.lines.try_send(self.text()) {
            Ok(()) | Err(TrySendError::Disconnected(_)) => {}
            Err(TrySendError::Full(_)) => {
                shared.lost.fetch_add(1, Relaxed);
            }
        }
    }
}

/// `29/Nov/2026:01:04:18 +0000` of an HTTP date, whose places are fixed (RFC 9110 §5.6.7).
fn clf(date: &str) -> String {
    let part = |range| date.get(range).unwrap_or_default();
    let (day, month, year, time) = (part(5..7), part(8..11), part(12..16), part(17..25));
    format!("{day}/{month}/{year}:{time} +0000")
}

/// Writes until the last handle is gone. Flushes whenever nothing waits.
fn write_all(mut to: BufWriter<Box<dyn Write + Send>>, queue: &Receiver<String>, lost: &AtomicU64) {
    let mut told: Option<Instant> = None;
    let mut failing = false;
    while let Ok(first) = queue.recv() {
        let mut lines = std::iter::once(first).chain(queue.try_iter().take(QUEUE));
        let written = lines.try_for_each(|line| writeln!(to, "{line}"));
        let written = written.and_then(|()| to.flush());
        if let Err(error) = &written
            && !failing
        {
            tracing::warn!(%error, "the access log cannot be written; lines are lost until it can");
        }
        failing = written.is_err();
        if told.is_none_or(|at| at.elapsed() > TELL_EVERY) {
            let lost = lost.swap(0, Relaxed);
            if lost > 0 {
                told = Some(Instant::now());
                tracing::warn!(lost, "the access log does not keep up; lines were left out");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(format: AccessFormat, one_in: u32) -> (AccessLog, Receiver<String>) {
        let (lines, queue) = sync_channel(2);
        let shared = LogState {
            lines,
            lost: Arc::default(),
            format,
            one_in: u64::from(one_in),
            requests: AtomicU64::new(0),
        };
        (AccessLog(Arc::new(shared)), queue)
    }

    fn line(log: &AccessLog) -> Option<Box<Line>> {
        let target = "http://h/a?b=\"c"
            .parse()
            .unwrap_or_else(|_| Uri::from_static("http://h/a?b=c"));
        log.begin(
            IpAddr::from([10, 0, 0, 1]),
            &Method::GET,
            &target,
            Version::HTTP_11,
        )
    }

    #[test]
    fn a_line_says_who_asked_what_and_what_the_cache_did() {
        for (format, expected) in [
            (AccessFormat::Common, "10.0.0.1 - - ["),
            (AccessFormat::Json, "\"cache\":\"hit; ttl=5\""),
        ] {
            let (log, queue) = log(format, 1);
            let mut line = line(&log).unwrap();
            let mut headers = HeaderMap::new();
            headers.append(CACHE_STATUS, "other; fwd=miss".parse().unwrap());
            headers.append(CACHE_STATUS, "tagcache; hit; ttl=5".parse().unwrap());
            line.answered(StatusCode::OK, &headers);
            line.sent(7);
            drop(line);
            let text = queue.try_recv().unwrap();
            assert!(
                text.contains(expected) && text.contains("hit; ttl=5"),
                "{text}"
            );
            assert!(!text.contains('\n'));
        }
        assert_eq!(
            clf("Sun, 29 Nov 2026 01:04:18 GMT"),
            "29/Nov/2026:01:04:18 +0000"
        );
    }

    #[test]
    fn what_is_too_much_is_dropped_and_counted_and_what_is_not_sampled_has_no_line() {
        let (log, queue) = log(AccessFormat::Common, 1);
        for _ in 0..5 {
            drop(line(&log));
        }
        assert_eq!((queue.try_iter().count(), log.0.lost.load(Relaxed)), (2, 3));
        let (log, _queue) = self::log(AccessFormat::Common, 3);
        let sampled = (0..9).filter(|_| line(&log).is_some()).count();
        assert_eq!(sampled, 3);
    }
}
