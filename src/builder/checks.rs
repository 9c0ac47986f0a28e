//! Settings that are refused before anything is built.

use std::time::Duration;

use crate::entry::codec::packed;
use crate::error::ConfigError;
use crate::place::Setting;
use crate::spelling::written;

/// Three quarters of it, for what is to be stored, hold one body of the usual limit.
const LEAST_FILL_BYTES: u64 = 4 << 20;

pub(super) fn settings(
    (lease, longest): (Duration, Duration),
    compress: bool,
    fill_bytes: u64,
) -> Result<(), ConfigError> {
    check_lease(lease, longest)?;
    check_fill_bytes(fill_bytes)?;
    check_compression(compress)
}

fn check_lease(lease: Duration, longest: Duration) -> Result<(), ConfigError> {
    let problem = if lease < Duration::from_millis(30) {
        "shorter than 30 ms, which no heartbeat can keep".to_owned()
    } else if lease > longest {
        format!(
            "longer than {}: a purge waits so long for a node that has stopped",
            written(longest)
        )
    } else {
        return Ok(());
    };
    Err(ConfigError::new(
        Setting::of("cache", "lease"),
        problem,
        written(lease),
    ))
}

fn check_fill_bytes(bytes: u64) -> Result<(), ConfigError> {
    if bytes < LEAST_FILL_BYTES {
        let problem = format!("fewer than {LEAST_FILL_BYTES} bytes hold no body of 2 MiB");
        return Err(ConfigError::new(
            Setting::of("cache", "fill_bytes").called("fill bytes"),
            problem,
            bytes.to_string(),
        ));
    }
    Ok(())
}

fn check_compression(wanted: bool) -> Result<(), ConfigError> {
    if wanted && !packed::AVAILABLE {
        let problem = "this build has no zstd (feature `zstd`)";
        return Err(ConfigError::new(
            Setting::of("redis", "compress"),
            problem,
            "true",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builder::{Cache, CacheBuilder};
    use crate::rules::Rule;

    fn refused(builder: CacheBuilder) -> String {
        let built = builder.rule(Rule::new("auction", "/{id}")).build();
        built.expect_err("it is refused").to_string()
    }

    #[test]
    fn a_lease_that_no_heartbeat_can_keep_is_refused() {
        for (lease, why) in [
            (Duration::ZERO, "shorter than 30 ms"),
            (Duration::from_millis(29), "shorter than 30 ms"),
            (Duration::from_millis(5_001), "longer than 5s"),
        ] {
            let told = refused(Cache::builder().lease(lease));
            assert!(told.starts_with("lease: ") && told.contains(why), "{told}");
        }
    }

    #[test]
    fn safety_73_room_for_less_than_one_fill_is_refused() {
        for bytes in [0, (4 << 20) - 1] {
            assert_eq!(
                refused(Cache::builder().fill_bytes(bytes)),
                format!(
                    "fill bytes: fewer than 4194304 bytes hold no body of 2 MiB in \"{bytes}\""
                )
            );
        }
        let least = Cache::builder().fill_bytes(4 << 20);
        assert!(least.rule(Rule::new("r", "/")).build().is_ok());
    }

    #[test]
    fn compression_is_refused_where_the_build_has_none() {
        let built = Cache::builder().compress_at_rest().build();
        let told = built.map(drop).map_err(|error| error.to_string());
        let refused = "compress: this build has no zstd (feature `zstd`) in \"true\"";
        let expected = if packed::AVAILABLE {
            Ok(())
        } else {
            Err(refused.into())
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn room_for_less_than_one_entry_is_refused_and_the_rule_named() {
        for bytes in [0, 1, 65_535] {
            assert_eq!(
                refused(Cache::builder().store_bytes(bytes)),
                format!(
                    "rule `auction`, store bytes: fewer than 65536 bytes hold no response in \"{bytes}\""
                )
            );
        }
        let enough = Cache::builder()
            .store_bytes(65_536)
            .rule(Rule::new("r", "/"));
        assert!(enough.build().is_ok());
    }
}
