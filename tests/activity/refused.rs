//! Who may ask, how, and what is refused.

use serde_json::Value;
use tagcache_test_support::{Answer, EventClient, serve};
use tower_tagcache::feed::ActivityServiceSettings;
use tower_tagcache::{ActivitySettings, Cache};

use super::{AUCTION, House, OTHER, happened};

const TOKEN: &str = "a-token-that-nobody-guesses";

/// The reason of a refusal.
fn reason(answer: &Answer, status: u16) -> String {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(
        answer.field("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let problem: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(problem["status"], status);
    problem["detail"].as_str().unwrap().to_owned()
}

/// Each target is refused by the name of a parameter, with what is allowed.
async fn refuses(mistakes: &[(&str, [&str; 2])]) {
    let house = House::embedded();
    for (target, [named, allowed]) in mistakes {
        let reason = reason(&house.send("GET", target, &[]).await, 400);
        assert!(reason.contains(named), "{target}: {reason}");
        assert!(reason.contains(allowed), "{target}: {reason}");
        let (path, query) = target.split_once('?').unwrap();
        let explained = house.activity.explain(path, Some(query));
        assert_eq!(explained.unwrap_err(), reason, "{target}");
    }
}

#[tokio::test]
async fn what_is_no_page_of_entries_is_refused_by_name_with_what_is_allowed() {
    let zeros = "0".repeat(64);
    let upper = format!("/activity?cursor={}", "A".repeat(64));
    let twice = format!("/activity?cursor={zeros}&cursor={zeros}");
    let (limit, cursor) = (
        ["`limit`", "1 to 1000"],
        ["`cursor`", "64 hexadecimal digits"],
    );
    let reorged = ["`reorged`", "`true` or `false`"];
    refuses(&[
        ("/activity?limit=0", limit),
        ("/activity?limit=1001", limit),
        ("/activity?limit=", limit),
        ("/activity?limit=%2B5", limit),
        ("/activity?limit=-1", limit),
        ("/activity?limit=5.0", limit),
        ("/activity?limit=99999999999999999999999", limit),
        ("/activity?limit=5&limit=5", ["`limit`", "twice"]),
        ("/activity?cursor=", cursor),
        ("/activity?cursor=7-12.0", cursor),
        (&upper, ["`cursor`", "lower case"]),
        (&twice, ["`cursor`", "twice"]),
        ("/activity?reorged=yes", reorged),
        ("/activity?reorged", reorged),
        (
            "/activity?reorged=true&reorged=true",
            ["`reorged`", "twice"],
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_nobody_can_ask_about_is_refused_by_name_with_what_is_allowed() {
    let types: Vec<_> = (0..21).map(|n| format!("t{n}")).collect();
    let types = format!("/activity?type={}", types.join(","));
    let two = format!("/activity?auction={AUCTION}&subject=auction:{OTHER}");
    let twice = format!("/activity?auction={AUCTION}&auction={AUCTION}");
    let (kind, address) = (
        ["`type`", "letters"],
        ["`auction`", "40 hexadecimal digits"],
    );
    let known = [
        "\"listing\"",
        "limit, cursor, reorged, type, subject, auction",
    ];
    refuses(&[
        ("/activity?type=", kind),
        ("/activity?type=sale,,kick", kind),
        ("/activity?type=a%20b", kind),
        ("/analytics?type=a%20b", kind),
        ("/activity?type=resync", ["`type`", "own"]),
        (&types, ["`type`", "20"]),
        ("/activity?auction=7", address),
        ("/activity?auction=0x12", address),
        ("/activity?auction=", address),
        ("/analytics?auction=7", address),
        ("/activity?subject=", ["`subject`", ""]),
        (
            "/activity?subject=auction",
            ["`subject`", "auction:{address}"],
        ),
        (
            "/activity?subject=auction:7",
            ["`subject`", "40 hexadecimal digits"],
        ),
        (&two, ["`subject`", "one at most"]),
        (&twice, ["`auction`", "one at most"]),
        ("/activity?listing=7", known),
        ("/activity?hours=5", ["\"hours\"", "known are limit"]),
        ("/activity?Limit=5", ["\"Limit\"", "known are limit"]),
        ("/activity?=5", ["\"\"", "known are limit"]),
    ])
    .await;
}

#[tokio::test]
async fn what_is_not_counted_is_refused_by_name_with_what_is_allowed() {
    let (hours, by) = (["`hours`", "1 to 168"], ["`by`", "`hour` or `subject`"]);
    let known = ["\"limit\"", "hours, by, type, subject, auction"];
    refuses(&[
        ("/analytics?hours=0", hours),
        ("/analytics?hours=169", hours),
        ("/analytics?hours=1e1", hours),
        ("/analytics?hours=49&by=subject", ["`hours`", "at most 48"]),
        ("/analytics?hours=5&hours=5", ["`hours`", "twice"]),
        ("/analytics?by=day", by),
        ("/analytics?by=hour,", by),
        ("/analytics?by=", by),
        ("/analytics?limit=5", known),
    ])
    .await;
}

#[tokio::test]
async fn paths_and_methods_are_known() {
    let house = House::embedded();
    for (path, takes) in [
        ("/activity", true),
        ("/activity/", true),
        ("/analytics", true),
        ("/activities", false),
        ("/activity/7", false),
        ("/", false),
        ("", false),
    ] {
        assert_eq!(house.activity.takes(path), takes, "{path}");
    }
    reason(&house.send("GET", "/activity/7", &[]).await, 404);
    for path in ["/activity", "/analytics"] {
        for method in ["POST", "PUT", "DELETE", "PATCH", "QUERY"] {
            let answer = house.send(method, path, &[]).await;
            reason(&answer, 405);
            assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
        }
        let answer = house.send("OPTIONS", path, &[]).await;
        assert_eq!(answer.status, 204);
        assert_eq!(answer.field("allow"), Some("GET, HEAD, OPTIONS"));
    }
    let explain = |path, query: &str| house.activity.explain(path, Some(query)).unwrap();
    assert_eq!(explain("/activity", ""), "the newest 20 entries");
    assert_eq!(
        explain(
            "/activity",
            &format!("limit=5&type=sale,kick&auction={AUCTION}&reorged=true")
        ),
        format!(
            "the newest 5 entries, of type sale or kick, of auction:{AUCTION}, also those that a reorg undid"
        )
    );
    assert_eq!(
        explain("/analytics", "by=hour&hours=2"),
        "counters of 2 h by type and hour"
    );
}

#[tokio::test]
async fn a_head_has_the_fields_of_the_get_on_a_socket_too() {
    let house = House::embedded();
    house.announce(happened("sale", AUCTION, 1)).await;
    house.shows(1, "/activity").await;
    let served = serve(house.activity.clone()).await;
    for target in ["/activity", "/analytics", "/activity?limit=0", "/other"] {
        let get = EventClient::open(served.address, target, &[]).await;
        let head = EventClient::send("HEAD", served.address, target, &[]).await;
        let head = head.unwrap();
        assert_eq!(head.status, get.status, "{target}");
        for name in ["content-type", "content-length", "cache-control"] {
            assert_eq!(head.headers[name], get.headers[name], "{target} {name}");
        }
        let (get, head) = (get.text().await, head.text().await);
        assert!(!get.is_empty() && head.is_empty(), "{target}");
    }
}

#[tokio::test]
async fn who_has_no_token_reads_nothing() {
    let settings = ActivityServiceSettings::guarded(TOKEN);
    let house = House::open(Cache::builder(), &settings);
    for path in ["/activity", "/analytics?hours=0"] {
        for (line, told) in [
            (None, "Authorization: Bearer"),
            (Some("Bearer another-token-of-somebody"), "wrong"),
            (Some("Basic YTpi"), "wrong"),
        ] {
            let lines: Vec<_> = line
                .map(|line| ("authorization", line))
                .into_iter()
                .collect();
            let answer = house.send("GET", path, &lines).await;
            assert!(reason(&answer, 401).contains(told), "{line:?}");
            assert_eq!(answer.field("www-authenticate"), Some("Bearer"));
        }
    }
    let bearer = format!("bearer {TOKEN}");
    let answer = house
        .send("GET", "/activity", &[("authorization", &bearer)])
        .await;
    assert_eq!(answer.status, 200);
    // A browser asks without it whether it may send it (Fetch §3.3.2).
    let answer = house.send("OPTIONS", "/activity", &[]).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn pages_of_other_sites_may_ask_if_they_are_named() {
    let settings = ActivityServiceSettings::open().origins(["https://auctions.example"]);
    let house = House::open(Cache::builder(), &settings);
    for (origin, status, allowed) in [
        (
            "https://auctions.example",
            200,
            Some("https://auctions.example"),
        ),
        ("http://house", 200, None),
        ("https://evil.example", 403, None),
        ("null", 403, None),
    ] {
        let lines = [("origin", origin), ("host", "house")];
        let answer = house.send("GET", "/activity", &lines).await;
        assert_eq!(answer.status, status, "{origin}");
        assert_eq!(answer.field("access-control-allow-origin"), allowed);
        assert_eq!(answer.field("vary"), allowed.map(|_| "Origin"));
        if status == 403 {
            assert!(reason(&answer, 403).contains("may not ask"));
        }
    }
    // The page is to see why.
    let lines = [("origin", "https://auctions.example")];
    let answer = house.send("GET", "/activity?limit=0", &lines).await;
    reason(&answer, 400);
    assert_eq!(
        answer.field("access-control-allow-origin"),
        Some("https://auctions.example")
    );
    let answer = house.send("OPTIONS", "/analytics", &lines).await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        answer.field("access-control-allow-methods"),
        Some("GET, HEAD, OPTIONS")
    );
    assert!(
        answer
            .field("access-control-allow-headers")
            .unwrap()
            .contains("authorization")
    );
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused() {
    let builder = Cache::builder().activity(ActivitySettings::new());
    let (cache, _companion) = builder.build().unwrap();
    let open = ActivityServiceSettings::open;
    for (settings, expected) in [
        (ActivityServiceSettings::default(), "nobody could ask"),
        (ActivityServiceSettings::guarded("tiny"), "shorter than 16"),
        (open().origins(["auctions.example"]), "not an origin"),
        (open().subjects([] as [&str; 0]), "may ask about"),
        (open().subjects(["auction"]), "not like"),
        (open().below("api"), "not a path"),
        (open().below("/{api}"), "not a path"),
    ] {
        let error = cache.activity_service(&settings).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("tiny"), "a token is not quoted");
    }
    let (nothing, _companion) = Cache::builder().build().unwrap();
    let error = nothing.activity_service(&open()).unwrap_err().to_string();
    assert!(error.contains("nothing is kept"), "{error}");
}
