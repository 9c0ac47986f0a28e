//! Examines a Redis server: which promises hold there, which do not, and what to change.
//!
//! ```no_run
//! use tower_tagcache::Cache;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_tagcache::BoxError> {
//! let report = Cache::builder().redis("redis://127.0.0.1:6379").doctor()?.examine().await;
//! for finding in &report.findings {
//!     println!("{} {}: {}", finding.severity, finding.area, finding.message);
//! }
//! assert!(report.is_usable());
//! # Ok(()) }
//! ```
//!
//! Nothing is written there. Each question has a time limit of one second, all together have [`Doctor::within`]: a server
//! that hangs is reported as one.

mod allowed;
mod facts;
mod judgement;
mod keys;
mod memory;
mod probes;
mod questions;
mod report;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::questions::Questions;
use crate::clock::Clock;
use crate::error::Error;
use crate::redis::conn::Server;
use crate::redis::rights::Needs;
use crate::redis::sentinel;
use crate::redis::verify::role_is_master;

pub use self::facts::{
    CommandFacts, DeniedFacts, Facts, LatencyFacts, LogFacts, MemoryFacts, PersistenceFacts,
    RightsFacts, StreamFacts,
};
pub use self::report::{DoctorFinding, PromiseReport, Report, Severity, Standing};
pub use crate::redis::promise::Promise;

/// For all questions.
const PATIENCE: Duration = Duration::from_secs(5);

/// Examines the server of a cache. Made by [`CacheBuilder::doctor`](crate::CacheBuilder::doctor).
#[derive(Debug)]
#[must_use = "nothing is asked until `examine` is called"]
pub struct Doctor {
    server: Server,
    needs: Needs,
    /// What the names of the cache's consumers begin with.
    ours: String,
    clock: Arc<dyn Clock>,
    patience: Duration,
}

impl Doctor {
    /// Of `server`, for a cache that needs that.
    pub(crate) fn new(
        server: Server,
        needs: Needs,
        namespace: &str,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            server,
            needs,
            ours: format!("{namespace}/"),
            clock,
            patience: PATIENCE,
        }
    }

    /// How long all questions together may take, once a connection is made. Default: 5 s.
    pub const fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The least rights that this cache needs, as `ACL SETUSER` takes them behind the user's name.
    #[must_use]
    pub fn least_rights(&self) -> String {
        self.needs.acl()
    }

    /// Asks the server, and says what its answers mean.
    pub async fn examine(&self) -> Report {
        let mut facts = Facts::default();
        let findings = match self.look(&mut facts).await {
            Ok(findings) => findings,
            Err(error) => vec![DoctorFinding::problem("server", error.to_string())],
        };
        Report::new(self.server.to_string(), facts, findings)
    }

    async fn look(&self, facts: &mut Facts) -> Result<Vec<DoctorFinding>, Error> {
        facts.tls = self.server.wiring().is_secure;
        facts.topology = match (self.server.sentinels(), self.server.cluster()) {
            (Some(_), _) => "sentinel",
            (None, Some(_)) => "cluster",
            (None, None) => "single",
        };
        facts.address = self.found_at().await;
        let log = self.needs.keys().log();
        let connection = self.server.with_key(log).connect().await?;
        facts.reached = true;
        let mut questions = Questions::over(connection, Instant::now() + self.patience);
        let verify = |error| self.server.error("verify", error);
        let known = probes::server(&mut questions, facts, &self.needs).await;
        let known = known.map_err(verify)?;
        if let Some(flaw) = &known.flaw {
            return Err(flaw.of(&self.server));
        }
        role_is_master(&known.identity)?;
        self.ask_more(&mut questions, facts, known.shows_info).await;
        if let Some(error) = questions.take_end() {
            return Err(verify(error));
        }
        Ok(self.judge(&questions, facts, &known))
    }

    /// Who is the master, where others say so; of a Cluster, who has the log.
    async fn found_at(&self) -> Option<String> {
        let (server, log) = (&self.server, self.needs.keys().log());
        let at = match (server.sentinels(), server.cluster()) {
            (Some(sentinels), _) => sentinel::master(sentinels, server.wiring()).await,
            (None, Some(cluster)) => cluster.primary(server, log).await,
            (None, None) => return None,
        };
        at.ok().map(|at| at.to_string())
    }

    /// What stands under the streams, each asked of the node that has it.
    async fn ask_about_streams(&self, questions: &mut Questions, facts: &mut Facts) {
        for name in self.needs.streams() {
            let group = self.needs.group();
            let stream = match self.server.is_cluster() {
                false => probes::stream(questions, name, group, &self.ours).await,
                true => match self.server.with_key(name).connect().await {
                    Ok(there) => {
                        let mut there = Questions::over(there, Instant::now() + self.patience);
                        probes::stream(&mut there, name, group, &self.ours).await
                    }
                    Err(_) => StreamFacts {
                        name: name.to_string(),
                        group: group.to_owned(),
                        ..StreamFacts::default()
                    },
                },
            };
            facts.streams.push(stream);
        }
    }

    async fn ask_more(
        &self,
        questions: &mut Questions,
        facts: &mut Facts,
        shows_info: Option<bool>,
    ) {
        let (needs, clock) = (&self.needs, &*self.clock);
        let budget = self.server.budgets().read;
        facts.latency = probes::latency(questions, needs, clock, budget).await;
        facts.clock_ahead_ms = probes::clock_ahead(questions, clock).await;
        facts.commands = probes::commands(questions, needs, shows_info).await;
        facts.log = probes::log(questions, needs).await;
        self.ask_about_streams(questions, facts).await;
        facts.user = allowed::user(questions).await;
        if let Some(user) = facts.user.clone() {
            facts.open = allowed::needs_no_password(questions, &user).await;
        }
        facts.rights = allowed::rights(questions, facts.user.as_deref(), &needs.commands()).await;
    }

    fn judge(
        &self,
        questions: &Questions,
        facts: &Facts,
        known: &probes::Identified,
    ) -> Vec<DoctorFinding> {
        if questions.went_silent() {
            let text = format!(
                "redis at {} lets us in and then does not answer",
                self.server
            );
            let finding = DoctorFinding::problem("server", text);
            return vec![
                finding
                    .remedy("see what holds it up: SLOWLOG GET 10, CLIENT LIST, and its machine"),
            ];
        }
        let mut found = vec![self.server_finding(facts)];
        found.extend(self.connection(facts));
        found.extend(judgement::replication(facts, &known.identity));
        found.extend(memory::memory(facts));
        found.push(memory::persistence(facts, !facts.streams.is_empty()));
        found.extend(judgement::rights(facts, &self.needs.acl()));
        found.push(judgement::commands(facts));
        found.extend(judgement::time(facts));
        found.push(keys::log(facts));
        found.extend(facts.streams.iter().flat_map(keys::stream));
        found
    }

    /// What it is.
    fn server_finding(&self, facts: &Facts) -> DoctorFinding {
        let software = facts.software.as_deref().unwrap_or("version hidden");
        let role = facts.role.unwrap_or("role hidden");
        let topology = match (facts.topology, &facts.address) {
            ("sentinel", Some(at)) => format!("followed by Sentinels to {at}"),
            ("cluster", Some(at)) => format!("the node of a Cluster that has the log ({at})"),
            (topology, _) => format!("a {topology} server"),
        };
        DoctorFinding::ok("server", format!("{software}, {topology}, {role}"))
    }

    /// Who else may listen or come in.
    fn connection(&self, facts: &Facts) -> Vec<DoctorFinding> {
        if self.server.address().is_here() {
            let how = if facts.tls {
                "by TLS"
            } else {
                "on this machine"
            };
            return vec![DoctorFinding::ok("connection", how)];
        }
        let mut found = vec![match facts.tls {
            true => DoctorFinding::ok("connection", "by TLS"),
            false => DoctorFinding::note(
                "connection",
                "without TLS: who can listen on the way reads what is cached, and the password",
            )
            .remedy("rediss:// and its TLS port (tls-port), if others share the network"),
        }];
        if facts.open == Some(true) {
            let text =
                "no password is asked for: who reaches it reads what is cached, and changes it";
            let finding = DoctorFinding::warning("connection", text).limits(&[Promise::P5]);
            found.push(
                finding.remedy(
                    "an ACL user of this cache with a password, and CONFIG SET requirepass",
                ),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests;
