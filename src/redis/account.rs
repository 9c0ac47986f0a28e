//! [`Account`]: the credentials of one server that are in use, those that should be, and the connections that they opened.

use std::io::Error as IoError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{ErrorKind as Kind, RedisConnectionInfo, RedisError, RedisResult, Value};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use crate::error::Error;
use crate::log::Trouble;
use crate::redis::credentials::{CredentialSource, RedisCredentials};

mod state;

use self::state::AccountState;
pub(super) use self::state::{Login, OpenedBy};

/// What messages and metrics call it.
pub(super) const PART: &str = "credentials";
/// How often a file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long an open connection may take to answer `AUTH`: longer than what blocks on it.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long credentials may take to be told to the companion.
const ASK_WITHIN: Duration = Duration::from_secs(10);
/// Nobody is asked more often than this because a server refused what was said.
const NOT_BEFORE: Duration = Duration::from_secs(1);

/// As whom one server is spoken to. Shared by all connections to it.
#[derive(Debug)]
pub(super) struct Account {
    source: CredentialSource,
    /// Held for moments only.
    state: Mutex<AccountState>,
    /// Held by who asks, so that one at a time does.
    asking: tokio::sync::Mutex<()>,
}

impl Account {
    pub(super) fn new(source: CredentialSource) -> Self {
        Self {
            source,
            state: Mutex::new(AccountState::new()),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Whether credentials can change at all.
    pub(super) const fn can_change(&self) -> bool {
        !matches!(self.source, CredentialSource::Url)
    }

    /// Tries at being let in: with the newest credentials; if the server refuses them, with those that the source has by
    /// now, and then with the last that were let in, which may be good still.
    pub(super) const fn tries(&self) -> Tries<'_> {
        Tries {
            account: self,
            tried: Vec::new(),
            refused: None,
        }
    }

    /// Remembers an open connection, so that it is authenticated again when the credentials change.
    pub(super) fn opened(&self, connection: &MultiplexedConnection, by: &OpenedBy) {
        if self.can_change() {
            let open = &mut self.state.lock().open;
            open.retain(|(_, by)| by.strong_count() > 0);
            open.push((connection.clone(), Arc::downgrade(by)));
        }
    }

    /// What is wrong with the credentials while others are in use, and since when.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let state = self.state.lock();
        state.trouble.as_ref().map(|(error, since)| Trouble {
            part: PART,
            message: error.to_string(),
            since: since.elapsed(),
        })
    }

    /// When the source is to be looked at again.
    pub(super) fn next_look(&self) -> Instant {
        let next = Instant::now() + LOOK_EVERY;
        let state = self.state.lock();
        let due = state.newest.as_ref().and_then(Login::due);
        due.map_or(next, |due| due.max(state.again.1).min(next))
    }

    /// Looks whether there are other credentials, and has all connections that are open use them.
    pub(super) async fn keep_up(&self, user_of_url: Option<&str>) {
        match &self.source {
            CredentialSource::Url => return,
            CredentialSource::Login(login) => match login.read() {
                Ok(read) => self.see(read),
                Err(flaw) => self.is_in_trouble(flaw.to_string()),
            },
            CredentialSource::Asked(_) => {
                if self.is_to_be_asked() {
                    // What fails is remembered there.
                    let _ = timeout(ASK_WITHIN, self.newest(true)).await;
                }
            }
        }
        self.renew(user_of_url).await;
    }

    /// What has to be told of the credentials, once each.
    pub(super) fn news(&self) -> Option<Result<(), Error>> {
        let mut state = self.state.lock();
        let AccountState {
            trouble, telling, ..
        } = &mut *state;
        match trouble {
            Some((error, since)) if since.elapsed() >= LOOK_EVERY => {
                let tell = telling.failing(error.kind() as u64);
                tell.map(|_| Err(error.told_again()))
            }
            Some(_) => None,
            None => telling.well().map(|_| Ok(())),
        }
    }

    /// The credentials to try next, if there are any beside `tried`.
    async fn next(&self, tried: &[u64]) -> RedisResult<Option<Login>> {
        let untried = |login: &Login| !tried.contains(&login.number);
        let newest = self.newest(!tried.is_empty()).await;
        let accepted = self.state.lock().accepted.clone().filter(untried);
        match newest {
            Ok(newest) => Ok(Some(newest).filter(untried).or(accepted)),
            // What happens on a connection that is made is told there.
            Err(_) if accepted.is_some() || !tried.is_empty() => Ok(accepted),
            Err(why) => Err(unknown(&why)),
        }
    }

    /// What the source says; if it was `refused`, not what it said before.
    async fn newest(&self, refused: bool) -> Result<Login, String> {
        let ask = match &self.source {
            CredentialSource::Url => return Err("the URL has them".to_owned()),
            CredentialSource::Login(login) => {
                return match login.read() {
                    Ok(read) => Ok(self.note(read)),
                    Err(flaw) => {
                        let why = flaw.to_string();
                        self.is_in_trouble(why.clone());
                        Err(why)
                    }
                };
            }
            CredentialSource::Asked(ask) => ask,
        };
        let usable =
            |login: &Login| !login.is_due() && (!refused || login.asked.elapsed() < NOT_BEFORE);
        let known = || self.state.lock().newest.clone();
        if let Some(login) = known().filter(usable) {
            return Ok(login);
        }
        let _one = self.asking.lock().await;
        if let Some(login) = known().filter(usable) {
            return Ok(login);
        }
        match ask().await {
            Ok(said) => Ok(self.note(said)),
            Err(error) => {
                let why = format!("who was asked for them says: {error}");
                self.is_in_trouble(why.clone());
                known().filter(|login| !login.is_over()).ok_or(why)
            }
        }
    }

    fn is_to_be_asked(&self) -> bool {
        let state = self.state.lock();
        let Some(newest) = &state.newest else {
            return false;
        };
        let wanted = newest.is_due() || state.refused == Some(newest.number);
        wanted && state.again.1 <= Instant::now()
    }

    /// What a file says: believed when it has said so twice, unless it is what is in use.
    fn see(&self, read: RedisCredentials) {
        let mut state = self.state.lock();
        let newest = state.newest.as_ref();
        if newest.is_some_and(|newest| newest.credentials.are_those(&read)) {
            state.seen = None;
            if state.refused.is_none() {
                state.trouble = None;
            }
        } else if state.seen.as_ref() == Some(&read) {
            drop(state);
            self.note(read);
        } else {
            state.seen = Some(read);
        }
    }

    fn note(&self, credentials: RedisCredentials) -> Login {
        self.state.lock().note(credentials)
    }

    fn is_let_in(&self, login: &Login) {
        let mut state = self.state.lock();
        let newest = state.newest.as_ref();
        if newest.is_some_and(|newest| newest.number == login.number) {
            state.refused = None;
            state.trouble = None;
            state.again.0.reset();
            state.accepted = Some(login.clone());
        }
    }

    fn is_refused(&self, login: &Login, error: &RedisError) {
        let mut state = self.state.lock();
        let newest = state.newest.as_ref();
        if newest.is_none_or(|newest| newest.number != login.number) {
            return;
        }
        state.refused = Some(login.number);
        state.put_off();
        let before = state.accepted.as_ref();
        if before.is_some_and(|before| before.number != login.number) {
            let said = error.detail().unwrap_or("wrong user or password");
            state.is_in_trouble(format!(
                "the server refuses the new ones ({said}); those before are used on: see whether they are those of the server"
            ));
        }
    }

    fn is_in_trouble(&self, why: String) {
        let mut state = self.state.lock();
        state.put_off();
        state.is_in_trouble(why);
    }

    /// Authenticates all connections that are open by other credentials than the newest.
    async fn renew(&self, user_of_url: Option<&str>) {
        let Some((newest, old)) = self.state.lock().out_of_date() else {
            return;
        };
        let mut auth = ::redis::cmd("AUTH");
        auth.arg(newest.credentials.user().or(user_of_url));
        auth.arg(newest.credentials.secret());
        let (auth, newest) = (&auth, &newest);
        let asked = old.into_iter().map(|(mut connection, by)| async move {
            let answer = auth.query_async::<Value>(&mut connection);
            match timeout(PATIENCE, answer).await {
                Ok(Ok(_)) => {
                    by.store(newest.number, Ordering::Relaxed);
                    self.is_let_in(newest);
                    true
                }
                Ok(Err(error)) if error.code().is_some() => {
                    self.is_refused(newest, &error);
                    false
                }
                // It is lost, or hangs: whoever uses it notices.
                _ => false,
            }
        });
        let renewed = join_all(asked).await;
        let connections = renewed.iter().filter(|renewed| **renewed).count();
        if connections > 0 {
            tracing::info!(connections, "new credentials of redis are in use");
        }
    }
}

/// See [`Account::tries`].
#[derive(Debug)]
pub(super) struct Tries<'a> {
    account: &'a Account,
    tried: Vec<u64>,
    refused: Option<RedisError>,
}

impl Tries<'_> {
    /// The settings to try next: `settings` with other credentials.
    ///
    /// # Errors
    /// No credentials are known, or the server refused them all.
    pub(super) async fn next(
        &mut self,
        settings: &RedisConnectionInfo,
    ) -> RedisResult<(Login, RedisConnectionInfo)> {
        match self.account.next(&self.tried).await? {
            Some(login) => {
                let settings = login.credentials.lay_over(settings.clone());
                self.tried.push(login.number);
                Ok((login, settings))
            }
            None => Err(self
                .refused
                .take()
                .unwrap_or_else(|| unknown("there are none"))),
        }
    }

    /// The server let `login` in.
    pub(super) fn is_let_in(&self, login: &Login) -> OpenedBy {
        self.account.is_let_in(login);
        Arc::new(AtomicU64::new(login.number))
    }

    /// It did not, for `error`.
    ///
    /// # Errors
    /// `error`, if that has nothing to do with the credentials.
    pub(super) fn failed(&mut self, login: &Login, error: RedisError) -> RedisResult<()> {
        if !is_refusal(&error) {
            return Err(error);
        }
        self.account.is_refused(login, &error);
        self.refused = Some(error);
        Ok(())
    }
}

/// Whether the server was reached and does not let us in.
fn is_refusal(error: &RedisError) -> bool {
    error.kind() == Kind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
}

fn unknown(why: &str) -> RedisError {
    IoError::other(format!("credentials: {why}")).into()
}
