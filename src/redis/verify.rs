//! Verifying a connection before its first use, and opening epochs (PROTOCOL 6 and 7).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, Pipeline, RedisError, Value};
use tokio::sync::Mutex;

use crate::chance::unique;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::log::PurgeRecord;
use crate::position::{Epoch, Position};
use crate::redis::conn::Server;
use crate::redis::fault::{self, Fault};
use crate::redis::info::{Flaw, Identity, Loss};
use crate::redis::inquiry::{Form, Inquiry};
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{self, Last};
use crate::redis::trust::{Distrust, Trust};

/// How often the end of the log is looked at before giving up: each look but the first two follows a
/// change by somebody else.
const LOOKS: usize = 6;

/// What it takes to verify a connection; shared by all links of one cache.
#[derive(Debug)]
pub(crate) struct Verifier {
    pub(crate) server: Server,
    pub(crate) keys: Keyspace,
    pub(crate) trust: Arc<Trust>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held while opening an epoch, so that the connections of one process open one.
    opening: Mutex<()>,
    /// How the server is asked who it is.
    pub(super) inquiry: Inquiry,
    /// The lost guarantees that were told.
    told: AtomicU8,
    /// See [`Verifier::try_out`].
    tried: AtomicBool,
}

/// What a verified connection is known to lead to.
#[derive(Debug, Clone)]
pub(crate) struct Verification {
    pub(crate) identity: Identity,
    pub(crate) epoch: Epoch,
}

impl Verifier {
    pub(crate) fn new(server: Server, keys: Keyspace, clock: Arc<dyn Clock>) -> Self {
        Self {
            server,
            keys,
            trust: Arc::default(),
            clock,
            opening: Mutex::new(()),
            inquiry: Inquiry::default(),
            told: AtomicU8::new(0),
            tried: AtomicBool::new(false),
        }
    }

    /// Verifies `conn`: role, identity, the log's last record; opens an epoch if it must. `[verify]`
    ///
    /// # Errors
    /// The server cannot be used for the log, or does not answer.
    pub(crate) async fn verify(
        &self,
        conn: &mut MultiplexedConnection,
    ) -> Result<Verification, Error> {
        // What was refused to the last connection may not be to this one.
        self.inquiry.again(self.clock.monotonic());
        let (mut why, mut opening, mut refused) = (None, None, 0);
        for _ in 0..LOOKS {
            let sent = self.trust.sent();
            let (identity, last) = self.look(conn).await?;
            self.try_out(conn, &identity).await?;
            // What is a replica now was not one when the others were verified.
            let generation = self.trust.generation();
            role_is_master(&identity).inspect_err(|_| self.trust.lose(generation))?;
            let position = match self.trust.judge(sent, &identity, &last) {
                Ok(position) => {
                    self.trust.read(sent, position);
                    Some(position)
                }
                Err(_) if opening.is_none() => {
                    // Look again, as another connection may have opened one meanwhile.
                    opening = Some(self.opening.lock().await);
                    None
                }
                Err(distrust) => {
                    why = Some(distrust);
                    let clear = must_be_cleared(&last, refused);
                    refused += 1;
                    self.open_epoch(conn, distrust, &identity, &last, clear)
                        .await?
                }
            };
            if let Some(position) = position {
                self.trust.set_replicas(&identity);
                let epoch = position.epoch;
                return Ok(Verification { identity, epoch });
            }
        }
        let why = why.map(|distrust| distrust.to_string()).unwrap_or_default();
        let message = format!("redis: no epoch could be opened, although {why}");
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    async fn look(&self, conn: &mut MultiplexedConnection) -> Result<(Identity, Last), Error> {
        loop {
            let (form, pipe) = self.question();
            let answer = conn.send_packed_commands(&pipe, 0, pipe.len()).await;
            let answer = answer.map_err(|error| self.server.error("verify", error))?;
            if let Some(seen) = self.answer(form, answer)? {
                return Ok(seen);
            }
        }
    }

    /// Asks who the server is and where the log ends, in one write; and in which form that is asked.
    pub(crate) fn question(&self) -> (Form, Pipeline) {
        let mut pipe = ::redis::pipe();
        let form = self.inquiry.who(&mut pipe, self.clock.monotonic());
        ask_last(&mut pipe, &self.keys);
        (form, pipe)
    }

    /// Adds what [`question`](Self::question) asks to `pipe`, the other way round: where the log ends, then who the
    /// server is; and in which form that is asked.
    pub(crate) fn question_after(&self, pipe: &mut Pipeline) -> Form {
        ask_last(pipe, &self.keys);
        self.inquiry.who(pipe, self.clock.monotonic())
    }

    /// Reads the answer to [`question`](Self::question). `None`: the server does not know this form
    /// of `INFO`; ask again in the plainer one.
    pub(crate) fn answer(
        &self,
        form: Form,
        answer: Vec<Value>,
    ) -> Result<Option<(Identity, Last)>, Error> {
        let mut answer = answer.into_iter();
        let (info, last) = match (answer.next(), answer.next()) {
            (Some(info), Some(last)) => (Some(info), last),
            (Some(last), None) => (None, last),
            _ => return Err(reply::malformed("answer to INFO")),
        };
        let identity = match info.as_ref() {
            None => Identity::default(),
            Some(info) => match self.identity(form, info)? {
                Some(identity) => identity,
                None => return Ok(None),
            },
        };
        self.inquiry.answered(&identity);
        self.server.is_called(identity.software.as_deref());
        if let Some(unfit) = identity.unfit(self.server.cluster().is_some()) {
            return Err(unfit.of(&self.server));
        }
        for lost in identity.hides() {
            self.tell(lost);
        }
        Ok(Some((identity, Last::parse(last)?)))
    }

    fn identity(&self, form: Form, info: &Value) -> Result<Option<Identity>, Error> {
        if let Some(text) = reply::text(info) {
            return Ok(Some(Identity::parse(text)));
        }
        match fault::error_in(info) {
            // Redis 6 takes one section only; some managed servers deny it altogether. Several connections may
            // learn that at a time, and each knows only that its own form was refused.
            Some(error) if matches!(error.code(), Some("ERR" | "NOPERM")) => {
                self.inquiry.refused(form);
                Ok(None)
            }
            Some(error) => Err(self.server.error("verify", error)),
            None => Err(reply::malformed("answer to INFO")),
        }
    }

    /// Where the server does not say that it knows `XADD E-*`, that is tried, with an id that no log of ours takes: all
    /// are greater. Nothing is written.
    async fn try_out(
        &self,
        conn: &mut MultiplexedConnection,
        identity: &Identity,
    ) -> Result<(), Error> {
        if !identity.is_to_be_tried() || self.tried.load(Ordering::Relaxed) {
            return Ok(());
        }
        let tried: Result<Value, RedisError> = trial(&self.keys).query_async(conn).await;
        match tried {
            Err(error) if is_no_id(&error) => Err(Flaw::too_old(identity).of(&self.server)),
            Err(error) if Fault::of(&error).loses_trust => Err(self.server.error("verify", error)),
            // Any other answer shows that the id was read.
            _ => {
                self.tried.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Warns, once, of a guarantee that this server does not let us keep.
    pub(crate) fn tell(&self, lost: Loss) {
        if self.told.fetch_or(lost.bit(), Ordering::Relaxed) & lost.bit() == 0 {
            tracing::warn!(server = %self.server, "{}", lost.warning());
        }
    }

    /// Opens an epoch, so that all nodes agree on it. `None`: refused, because somebody else did.
    async fn open_epoch(
        &self,
        conn: &mut MultiplexedConnection,
        why: Distrust,
        identity: &Identity,
        last: &Last,
        clear: bool,
    ) -> Result<Option<Position>, Error> {
        let now = self.clock.now().as_millis();
        let seen = last.position().map(|position| position.epoch.get());
        // Behind the last one that there is, it begins anew.
        let seen = seen.filter(|epoch| *epoch != u64::MAX);
        let epoch = next_epoch(seen.max(self.trust.newest()), now, unique());
        let record = PurgeRecord::open(self.clock.now());
        let mut pipe = ::redis::pipe();
        if clear {
            pipe.cmd("UNLINK").arg(self.keys.log());
        }
        let add = pipe
            .cmd("XADD")
            .arg(self.keys.log())
            .arg(format!("{epoch}-0"));
        add.arg(fields(&record, identity));
        let answer = conn.send_packed_commands(&pipe, 0, pipe.len()).await;
        let answer = answer.map_err(|error| self.server.error("open an epoch", error))?;
        let added = answer.last().ok_or_else(|| reply::malformed("record id"))?;
        if is_refused(added)? {
            return Ok(None);
        }
        let position = reply::position(added)?;
        tracing::info!(server = %self.server, %position, reason = %why, "new epoch of the purge log");
        self.trust.wrote(position);
        Ok(Some(position))
    }
}

/// An `XADD` with an epoch for its id, which no log of ours takes: all have greater ones. It writes nothing.
pub(crate) fn trial(keys: &Keyspace) -> Cmd {
    let mut add = ::redis::cmd("XADD");
    add.arg(keys.log()).arg("NOMKSTREAM").arg("0-*");
    add.arg("kind").arg("try");
    add
}

/// Whether it was refused because such an id is not understood. Any other answer shows that it was read.
pub(crate) fn is_no_id(error: &RedisError) -> bool {
    let why = error.detail().map(str::to_ascii_lowercase);
    why.is_some_and(|why| why.contains("invalid stream id"))
}

/// Appends the question for the log's last record.
pub(crate) fn ask_last(pipe: &mut Pipeline, keys: &Keyspace) {
    let last = pipe.cmd("XREVRANGE").arg(keys.log()).arg("+").arg("-");
    last.arg("COUNT").arg(1);
}

/// The fields of `record`, with the server that it is written on as it was verified (PROTOCOL 2).
pub(crate) fn fields(record: &PurgeRecord, identity: &Identity) -> Vec<(&'static str, Vec<u8>)> {
    let known = |name: &Option<Box<str>>| name.as_deref().unwrap_or_default().as_bytes().to_vec();
    let mut fields = record.to_fields();
    fields.push(("replid", known(&identity.replid)));
    fields.push(("run", known(&identity.run)));
    fields
}

/// PROTOCOL 7: a replica is not used. `[role]`
pub(crate) fn role_is_master(identity: &Identity) -> Result<(), Error> {
    if identity.is_master == Some(false) {
        let message = match &identity.master {
            Some(master) => format!(
                "redis: the server is a replica, where the purge log may lag: name its master, which it says is {master}"
            ),
            None => "redis: the server is a replica, where the purge log may lag: name its master"
                .into(),
        };
        return Err(Error::new(ErrorKind::Unavailable, message));
    }
    Ok(())
}

/// Whether an `XADD` with an explicit epoch was refused because the log is not the one it was meant
/// for (PROTOCOL 1): it is missing, in a later epoch, or of another type.
pub(crate) fn is_refused(reply: &Value) -> Result<bool, Error> {
    let Some(error) = fault::error_in(reply) else {
        return Ok(matches!(reply, Value::Nil));
    };
    let equal_or_smaller = error
        .detail()
        .is_some_and(|why| why.contains("equal or smaller"));
    if error.code() == Some("WRONGTYPE") || equal_or_smaller {
        return Ok(true);
    }
    debug_assert!(Fault::of(&error).kind != ErrorKind::BreakerOpen);
    Err(reply::refused(reply))
}

/// Whether what stands under the log's key has to go before an epoch can be opened: another type, a
/// last epoch, or (after a refusal) an empty stream whose last id lies ahead of our clock.
/// Whoever had opened an epoch in the meantime loses it, which is a new epoch for all.
fn must_be_cleared(last: &Last, refused: usize) -> bool {
    match last {
        Last::WrongType => true,
        Last::Missing => refused > 0,
        Last::Record(record) => record.position.epoch.get() == u64::MAX,
    }
}

/// PROTOCOL 1: unique, and above the epochs known. The clock only makes it unique; where it is behind
/// the epochs known, chance has to do it: two nodes that know the same one must not open the same
/// one next, each after another loss of the log.
fn next_epoch(after: Option<u64>, now_ms: u64, random: u64) -> u64 {
    let random = random & 0xf_ffff;
    let by_clock = (now_ms << 20) | random;
    after.map_or(by_clock, |after| {
        by_clock.max(after.saturating_add(1 + random))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_01_an_epoch_is_above_the_last_and_differs_between_nodes() {
        let now = 1_795_392_000_000;
        assert_eq!(next_epoch(None, now, 0), now << 20);
        assert_eq!(next_epoch(Some(5), now, 0xfff_ffff), (now << 20) | 0xf_ffff);
        assert_eq!(next_epoch(Some(u64::MAX - 1), now, 7), u64::MAX);
        let ahead = (now + 60_000) << 20;
        assert_eq!(next_epoch(Some(ahead), now, 7), ahead + 8);
        assert_ne!(
            next_epoch(None, now, unique()),
            next_epoch(None, now, unique())
        );
    }

    #[test]
    fn rule_07_a_replica_is_refused_and_a_silent_server_is_not() {
        let role = |is_master| Identity {
            is_master,
            ..Identity::default()
        };
        let refused = role_is_master(&role(Some(false))).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(role_is_master(&role(Some(true))).is_ok());
        assert!(role_is_master(&role(None)).is_ok());
    }
}
