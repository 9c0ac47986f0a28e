//! Who a server says that it is: its role, its identity, its replicas (PROTOCOL 6).

/// What one `INFO` reply told. A managed server may hide any part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Identity {
    /// `None`: it does not say whether it is a master.
    pub(crate) is_master: Option<bool>,
    /// `master_replid`: the line of history that its data belongs to.
    pub(crate) replid: Option<Box<str>>,
    /// `run_id`: this start of this process.
    pub(crate) run: Option<Box<str>>,
    /// Replicas that are in step, not those that are still being filled.
    pub(crate) replicas: u32,
    /// It refuses writes without replicas in step (`min-replicas-to-write`), so that it must have had
    /// some, however many it knows now. Redis shows their count only where that is set.
    pub(crate) demands_replicas: bool,
}

impl Identity {
    /// Reads an `INFO` reply; what is missing stays unknown.
    pub(crate) fn parse(info: &str) -> Self {
        let mut identity = Self::default();
        let mut connected = None;
        let mut online = None;
        for line in info.lines() {
            let Some((name, value)) = line.trim_end().split_once(':') else {
                continue;
            };
            match name {
                "role" => identity.is_master = Some(value == "master"),
                "master_replid" => identity.replid = known(value),
                "run_id" => identity.run = known(value),
                "min_slaves_good_slaves" => identity.demands_replicas = true,
                "connected_slaves" => connected = value.parse().ok(),
                _ if is_replica_line(name) => {
                    let is_online = value.split(',').any(|part| part == "state=online");
                    *online.get_or_insert(0) += u32::from(is_online);
                }
                _ => {}
            }
        }
        // Servers that hide their replicas' addresses may still count them.
        identity.replicas = online.or(connected).unwrap_or(0);
        identity
    }

    /// The guarantees that this server does not let us keep.
    pub(crate) fn hides(&self) -> impl Iterator<Item = Lost> {
        let role = self.is_master.is_none().then_some(Lost::Role);
        let identity = self.replid.is_none().then_some(Lost::Identity);
        role.into_iter().chain(identity)
    }
}

fn known(value: &str) -> Option<Box<str>> {
    (!value.is_empty()).then(|| value.into())
}

/// `slave0`, `slave1` …
fn is_replica_line(name: &str) -> bool {
    let number = name.strip_prefix("slave");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// A guarantee that a lesser server does not let us keep; the others still hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    Role,
    Identity,
    Wait,
}

impl Lost {
    /// What operators are told, once.
    pub(crate) const fn warning(self) -> &'static str {
        match self {
            Self::Role => {
                "INFO does not show the server's role: a replica is noticed only when it refuses a \
                 write, and until then lookups may lag"
            }
            Self::Identity => {
                "INFO does not show master_replid: a failover that forgets a purge is noticed only \
                 by nodes that had seen that purge"
            }
            Self::Wait => {
                "WAIT is refused: a purge is acknowledged before a replica has it, and a failover \
                 during a split may forget it"
            }
        }
    }

    /// Its bit in a set of those already told.
    pub(crate) const fn bit(self) -> u8 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_reply_tells_role_identity_and_replicas_in_step() {
        let identity = Identity::parse(
            "# Server\r\nrun_id:abc\r\n\r\n# Replication\r\nrole:master\r\nconnected_slaves:3\r\n\
             slave0:ip=10.0.0.1,port=1,state=online,offset=1,lag=0\r\n\
             slave1:ip=10.0.0.2,port=1,state=wait_bgsave,offset=0,lag=0\r\n\
             slave2:ip=10.0.0.3,port=1,state=online,offset=1,lag=0\r\nmaster_replid:def\r\n",
        );
        let expected = Identity {
            is_master: Some(true),
            replid: Some("def".into()),
            run: Some("abc".into()),
            replicas: 2,
            demands_replicas: false,
        };
        assert_eq!(identity, expected);
        assert_eq!(identity.hides().count(), 0);
    }

    #[test]
    fn a_server_that_demands_replicas_says_so_after_it_lost_them() {
        let info = "role:master\r\nconnected_slaves:0\r\nmin_slaves_good_slaves:0\r\n";
        let identity = Identity::parse(info);
        assert!(identity.demands_replicas);
        assert_eq!(identity.replicas, 0);
    }

    #[test]
    fn what_is_hidden_is_named() {
        let identity = Identity::parse("# Server\r\nrun_id:\r\nconnected_slaves:1\r\n");
        assert_eq!(identity.replicas, 1);
        assert_eq!(identity.run, None);
        let lost: Vec<_> = identity.hides().collect();
        assert_eq!(lost, [Lost::Role, Lost::Identity]);
    }

    #[test]
    fn a_replica_is_not_a_master() {
        assert_eq!(Identity::parse("role:slave\r\n").is_master, Some(false));
    }
}
