//! What the memory and the disk of a server mean.

use super::facts::{Facts, MemoryFacts};
use super::report::DoctorFinding;
use crate::redis::promise::Promise::P6;

/// The smallest server that the documents ask for: eight times the purge log.
const LEAST_MEMORY: u64 = 256 * 1024 * 1024;
/// Memory that is given back late is of no weight below this.
const WORTH_A_WORD: u64 = 100 * 1024 * 1024;
/// A server is nearly full.
const NEARLY: u64 = 90;

/// How much there is, and what becomes of it when it is full.
pub(super) fn memory(facts: &Facts) -> Vec<DoctorFinding> {
    let memory = &facts.memory;
    let mut found = vec![limit(memory), eviction(memory)];
    let is_much = memory.used_bytes.is_some_and(|used| used >= WORTH_A_WORD);
    let ratio = memory
        .fragmentation
        .filter(|ratio| is_much && *ratio >= 1.5);
    found.extend(ratio.map(|ratio| {
        let text = format!("the process takes {ratio:.1} times what its data do");
        DoctorFinding::note("memory", text).remedy("CONFIG SET activedefrag yes")
    }));
    found
}

fn limit(memory: &MemoryFacts) -> DoctorFinding {
    let used = memory.used_bytes.map(size);
    let used = used.map_or_else(|| "use hidden".to_owned(), |used| format!("{used} used"));
    let limit = match memory.limit_bytes {
        None => return DoctorFinding::note("memory", format!("{used}; its limit is hidden")),
        Some(0) => {
            let text =
                format!("{used}, and no limit (maxmemory 0): it grows until the machine ends it");
            return DoctorFinding::warning("memory", text).remedy(
                "CONFIG SET maxmemory 1gb (what it may have), and CONFIG SET maxmemory-policy volatile-lru",
            );
        }
        Some(limit) => limit,
    };
    let percent = memory
        .used_bytes
        .map_or(0, |used| used.saturating_mul(100) / limit);
    let text = format!("{used} of {} ({percent} %)", size(limit));
    if percent >= NEARLY && memory.policy.as_deref() == Some("noeviction") {
        let text = format!(
            "{text}: nearly full, and it evicts nothing: then nothing is stored, purges wait and publishers are refused"
        );
        return DoctorFinding::warning("memory", text)
            .limits(&[P6])
            .remedy("raise maxmemory, and CONFIG SET maxmemory-policy volatile-lru");
    }
    match limit < LEAST_MEMORY {
        true => {
            let text = format!("{text}: little, as the purge log alone may have 32 MiB");
            DoctorFinding::note("memory", text).remedy("CONFIG SET maxmemory 256mb, or more")
        }
        false => DoctorFinding::ok("memory", text),
    }
}

fn eviction(memory: &MemoryFacts) -> DoctorFinding {
    let gone = memory.evicted.filter(|count| *count > 0);
    let gone = gone.map_or_else(String::new, |count| {
        format!("; {count} keys evicted since it started")
    });
    match memory.policy.as_deref() {
        None => DoctorFinding::note(
            "eviction",
            "what it does when it is full (maxmemory-policy) is hidden",
        ),
        Some("noeviction") => {
            let text = "maxmemory-policy noeviction: once it is full nothing is stored any more, and no purge reaches other nodes";
            // Without a limit it is never full, which is told above.
            match memory.limit_bytes {
                Some(0) => DoctorFinding::ok("eviction", text),
                _ => DoctorFinding::note("eviction", text)
                    .remedy("CONFIG SET maxmemory-policy volatile-lru"),
            }
        }
        Some(policy) if policy.starts_with("allkeys") => DoctorFinding::warning(
            "eviction",
            format!(
                "maxmemory-policy {policy} may evict the purge log, which empties the cache for all, and event streams with \
                 what nobody has read{gone}"
            ),
        )
        .limits(&[P6])
        .remedy("CONFIG SET maxmemory-policy volatile-lru"),
        Some(policy) => DoctorFinding::ok("eviction", format!("maxmemory-policy {policy}{gone}")),
    }
}

/// What outlives a restart.
pub(super) fn persistence(facts: &Facts, reads_streams: bool) -> DoctorFinding {
    let known = &facts.persistence;
    if known.failing == Some(true) {
        return DoctorFinding::warning("persistence", "its last write to disk failed: it takes no writes, or soon will not")
            .limits(&[P6])
            .remedy("see its log and the disk; then CONFIG SET stop-writes-on-bgsave-error no, or mend the disk");
    }
    match (known.append_only, known.snapshots) {
        (Some(true), _) => DoctorFinding::ok(
            "persistence",
            "append-only file: events and purges outlive a restart",
        ),
        (Some(false), saves) => {
            let kept = match saves {
                Some(true) => "snapshots only",
                _ => "no append-only file",
            };
            let text = format!(
                "{kept}: a restart may lose the purge log (which is noticed, and empties the cache)"
            );
            match reads_streams {
                true => DoctorFinding::note(
                    "persistence",
                    format!("{text} and the last events (whose streams are then purged whole)"),
                )
                .remedy("CONFIG SET appendonly yes"),
                false => DoctorFinding::ok("persistence", text),
            }
        }
        (None, _) => DoctorFinding::note("persistence", "hidden"),
    }
}

fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit);
    let Some((name, unit)) = unit else {
        return format!("{bytes} bytes");
    };
    let tenths = bytes.saturating_mul(10) / unit;
    match tenths {
        100.. => format!("{} {name}", tenths / 10),
        _ => format!("{}.{} {name}", tenths / 10, tenths % 10),
    }
}
