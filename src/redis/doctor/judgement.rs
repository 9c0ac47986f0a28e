//! What the facts about a server mean: pure, from what it said to findings.

use super::facts::{DeniedFacts, Facts};
use super::report::DoctorFinding;
use crate::redis::info::{Identity, Loss};
use crate::redis::promise::Promise::{P1, P2, P6, P7};

/// Clocks further apart than this show in the ages of responses.
const APART_MS: u64 = 2_000;

/// What a server and its replicas are: the area `server` and the area `replicas`.
pub(super) fn replication(facts: &Facts, identity: &Identity) -> Vec<DoctorFinding> {
    let mut found = Vec::new();
    for lost in identity.hides() {
        let (promises, remedy): (&[_], _) = match lost {
            // Below, with the number that fits.
            Loss::SplitBrain => continue,
            Loss::Role | Loss::Identity => (&[P1, P2], "let its user send INFO"),
            Loss::Wait => (&[P1, P7], "let its user send WAIT"),
        };
        let finding = DoctorFinding::warning("server", lost.warning());
        found.push(finding.limits(promises).remedy(remedy));
    }
    found.push(replicas(facts, identity));
    found
}

fn replicas(facts: &Facts, identity: &Identity) -> DoctorFinding {
    let area = "replicas";
    let Some(have) = facts.replicas else {
        return DoctorFinding::note(area, "whether it has any is hidden");
    };
    // Redis counts the good ones only where they are demanded.
    let least = match facts.min_replicas_to_write {
        Some(least) => least,
        None => u64::from(identity.demands_replicas()),
    };
    if u64::from(have) < least {
        let text = format!("{have} in step, and it takes no writes with fewer than {least}");
        return DoctorFinding::problem(area, text).remedy(format!(
            "bring replicas back, or CONFIG SET min-replicas-to-write {have}"
        ));
    }
    match (have, least) {
        (0, _) => DoctorFinding::note(
            area,
            "none: while it is away nothing is answered from the cache, and what it loses is lost",
        ),
        (_, 0) => {
            let text = format!("{have} in step. {}", Loss::SplitBrain.warning());
            let finding = DoctorFinding::warning(area, text).limits(&[P1, P7]);
            finding.remedy("CONFIG SET min-replicas-to-write 1")
        }
        _ => {
            // The default of Redis.
            let lag = facts.min_replicas_max_lag.unwrap_or(10);
            DoctorFinding::ok(
                area,
                format!(
                    "{have} in step, at least {least} demanded: a node that is cut off with an old master answers what was purged \
                     elsewhere for at most {lag} s and the lease"
                ),
            )
        }
    }
}

/// What our user may do.
pub(super) fn rights(facts: &Facts, acl: &str) -> Vec<DoctorFinding> {
    let user = facts.user.as_deref();
    let who = user.map_or_else(|| "this user".to_owned(), |user| format!("user {user}"));
    let Some(asked_by) = facts.rights.asked_by else {
        return vec![
            DoctorFinding::note("rights", format!("{who} may not ask what it may (ACL DRYRUN, EVAL, MULTI): that is found out by use"))
                .remedy(format!("ACL SETUSER {} {acl}", user.unwrap_or("NAME"))),
        ];
    };
    let denied = &facts.rights.denied;
    if denied.is_empty() {
        return vec![DoctorFinding::ok(
            "rights",
            format!("{who} may send all that is needed (asked by {asked_by})"),
        )];
    }
    let allow = |denied: &DeniedFacts| {
        let command = denied
            .command
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_lowercase();
        let user = user.unwrap_or("NAME");
        format!(
            "ACL SETUSER {user} +{command}, if the key is one that it may have; all that it needs: {acl}"
        )
    };
    let finding = |one: &DeniedFacts| {
        let text = format!("{who} may not `{}`: {}", one.command, one.lost);
        let finding = match one.vital {
            true => DoctorFinding::problem("rights", text),
            false => DoctorFinding::warning("rights", text),
        };
        finding.limits(one.promises)
    };
    let mut found: Vec<_> = denied.iter().map(finding).collect();
    // Once, not below each.
    if let (Some(last), Some(first)) = (found.last_mut(), denied.first()) {
        last.remedy = Some(allow(first));
    }
    found
}

/// Which commands there are. What is denied is told with the rights, where these are known.
pub(super) fn commands(facts: &Facts) -> DoctorFinding {
    let named = |answered: Option<bool>| {
        let names = facts
            .commands
            .iter()
            .filter(move |one| one.answered == answered);
        names.map(|one| one.name).collect::<Vec<_>>().join(", ")
    };
    let (there, missing) = (named(Some(true)), named(Some(false)));
    if missing.is_empty() {
        return DoctorFinding::ok("commands", format!("{there} are answered"));
    }
    let is_missing = |name: &str| {
        let found = facts.commands.iter().find(|one| one.name == name);
        found.is_some_and(|one| one.answered == Some(false))
    };
    let mut promises = Vec::new();
    if is_missing("INFO") {
        promises.extend([P1, P2]);
    } else if is_missing("WAIT") {
        promises.push(P1);
    }
    if is_missing("XINFO") || is_missing("XAUTOCLAIM") {
        promises.push(P6);
    }
    if is_missing("WAIT") {
        promises.push(P7);
    }
    let text = format!("{missing} refused or not known there; of the others {there} are answered");
    DoctorFinding::warning("commands", text)
        .limits(&promises)
        .remedy("let its user send them, and rename none")
}

/// How fast it answers, and whether its clock is ours.
pub(super) fn time(facts: &Facts) -> Vec<DoctorFinding> {
    let mut found = Vec::new();
    if let Some(latency) = &facts.latency {
        let text = format!(
            "median {}, worst {} of {} round trips; a lookup waits {}",
            duration(latency.median_us),
            duration(latency.worst_us),
            latency.round_trips,
            duration(latency.budget_us)
        );
        let slow = latency.median_us >= latency.budget_us;
        found.push(match slow {
            // Each round trip of a lookup is over its budget: requests are forwarded.
            true => DoctorFinding::warning(
                "latency",
                format!("{text}: hardly any will be answered in time"),
            )
            .remedy(format!(
                "a server that is nearer, or read_timeout = \"{} ms\" in [redis]",
                latency.median_us / 250 + 1
            )),
            false if latency.median_us * 4 >= latency.budget_us => {
                DoctorFinding::note("latency", format!("{text}: close to it")).remedy(format!(
                    "read_timeout = \"{} ms\" in [redis]",
                    latency.median_us / 100 + 1
                ))
            }
            false => DoctorFinding::ok("latency", text),
        });
    }
    match facts.clock_ahead_ms {
        None => found.push(DoctorFinding::note("clock", "hidden (TIME)")),
        Some(ahead) => {
            let text = match ahead {
                0.. => format!("{ahead} ms ahead of this machine"),
                _ => format!("{} ms behind this machine", ahead.unsigned_abs()),
            };
            found.push(match ahead.unsigned_abs() > APART_MS {
                true => DoctorFinding::warning(
                    "clock",
                    format!("{text}: if other nodes go by another time than this one, ages of responses are wrong by as much"),
                )
                .remedy("synchronise both with NTP"),
                false => DoctorFinding::ok("clock", text),
            });
        }
    }
    found
}

fn duration(micros: u64) -> String {
    match micros {
        10_000.. => format!("{} ms", micros / 1_000),
        _ => format!("{}.{:02} ms", micros / 1_000, micros % 1_000 / 10),
    }
}
