//! What a URL may say, and what is never shown of it.

use super::*;

#[test]
fn no_secret_is_shown_anywhere() {
    for url in [
        "redis://:hunter2@localhost:6379/0",
        "redis://user:hunter2@localhost",
        "redis://user:hun@ter/hunter2@localhost",
        "redis+unix:///tmp/redis.sock?pass=hunter2",
    ] {
        let server = Server::new(url, Budgets::default());
        let shown = match &server {
            Ok(server) => format!("{server} {server:?}"),
            Err(error) => format!("{error:#} {error:?}"),
        };
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for url in ["redis://:hunter2", "hunter2@host", "redis://a:hunter2@:x"] {
        let error = Server::new(url, Budgets::default()).unwrap_err();
        let shown = format!("{error:#} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_bad_url_is_a_config_error_that_says_why() {
    for (url, why) in [
        ("http://localhost", "redis url did not parse"),
        ("redis://localhost/seven", "invalid database number"),
        ("redis://localhost?protocol=9", "invalid protocol version"),
        ("nonsense", "redis url did not parse"),
    ] {
        let error = Server::new(url, Budgets::default()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(error.input(), url);
    }
}

/// SAFETY 97: what does not work yet is said, not taken for something else.
#[test]
fn safety_97_a_url_of_what_is_not_supported_says_so() {
    for (url, why) in [
        ("rediss://u:hunter2@localhost#insecure", "always verified"),
        (
            "redis+sentinel://localhost:26379",
            "is not like redis+sentinel://",
        ),
        (
            "redis+sentinel://localhost:x/name",
            "is not like redis+sentinel://",
        ),
        ("redis-sentinel://:hunter2@a:26379,b:26379", "Sentinel"),
        ("sentinel://localhost", "Sentinel"),
        (
            "redis+cluster://localhost:x",
            "is not like redis+cluster://",
        ),
        ("redis+cluster://localhost:7000/3", "has one database"),
        ("redis-cluster://localhost:7000", "redis+cluster://"),
        ("redis://a:6379,b:6379", "several servers"),
    ] {
        let error = Server::new(url, Budgets::default()).unwrap_err();
        let shown = format!("{error:#}");
        assert!(shown.contains(why), "{url}: {shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    for url in [
        "redis://localhost",
        "valkey://localhost",
        "redis+sentinel://localhost/name",
        "redis+sentinel://u:p@a:26379,b,[::1]:7/name/3?protocol=resp3",
        "redis+cluster://a",
        "redis+cluster://u:p@a:7000,b,[::1]:7/0?protocol=resp3",
        #[cfg(feature = "tls")]
        "rediss://localhost:6380",
        #[cfg(feature = "tls")]
        "VALKEYS://localhost",
        "unix:///tmp/redis.sock",
    ] {
        assert!(Server::new(url, Budgets::default()).is_ok(), "{url}");
    }
}
