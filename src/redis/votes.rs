//! What several servers say of one question, when each of them may lag behind the others.

use std::collections::HashMap;
use std::io::Error as IoError;

use ::redis::RedisError;

use crate::redis::address::HostPort;

/// Where those that are asked say that a server is.
pub(super) struct Votes {
    /// How many are asked.
    asked: usize,
    said: HashMap<HostPort, usize>,
    trouble: Vec<String>,
}

impl Votes {
    pub(super) fn of(asked: usize) -> Self {
        Self {
            asked,
            said: HashMap::new(),
            trouble: Vec::new(),
        }
    }

    /// One of them names `server`, which is returned if more than half of all that are asked have done so now.
    pub(super) fn name(&mut self, server: HostPort) -> Option<HostPort> {
        let count = self.said.entry(server.clone()).or_default();
        *count += 1;
        (*count > self.asked / 2).then_some(server)
    }

    /// One of them names none.
    pub(super) fn abstain(&mut self, why: String) {
        self.trouble.push(why);
    }

    /// What most of those said that answered.
    pub(super) fn most(&self) -> Option<&HostPort> {
        let most = self.said.iter().max_by_key(|(_, count)| **count);
        most.map(|(server, _)| server)
    }

    /// That they did not name one; `what` they were asked for.
    pub(super) fn undecided(&self, what: &str) -> RedisError {
        let said = self.said.keys().map(|at| format!("one of them says {at}"));
        let why: Vec<String> = self.trouble.iter().cloned().chain(said).collect();
        IoError::other(format!("{what}: {}", why.join("; "))).into()
    }
}
