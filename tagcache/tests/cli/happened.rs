//! `tagcache activity`, `analytics` and `alerts`: what happened, from Redis or through a running proxy.

use serde_json::{Value, json};

use super::history::{AUCTION, History, KEPT, TOKEN};
use super::program::{Directory, Upstream};

const ADDRESS: &str = "0xA16E02E87b7454126E5E10d957A927A7F5B5d2be";
const FAILED: &str = "6b0d8f0c2f1a4f0e9d3c5b7a81e2f4d6";
const UNKNOWN: &str = "00000000000000000000000000000002";

#[test]
fn activity_is_a_table_newest_first() {
    let history = History::new();
    let at = |time| ("timestamp", time);
    let sale = [
        ("amount", "1500000000000000000000"),
        ("price", "7"),
        at("1700000000"),
    ];
    history.announce("sale", AUCTION, &sale, 1);
    history.announce("kick-off", "auction:8", &[at("1700003600")], 2);
    // What a terminal would act on is shown, and not done.
    let bad = [
        ("amount", "\u{1b}[2J5"),
        ("price", "\u{202e}7"),
        at("1700007200"),
    ];
    history.announce("sale", AUCTION, &bad, 3);
    let expected = "\
time (UTC)           type      subject                                                             amount      price
2023-11-15 00:13:20  sale      auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be              \\u{1b}[2J5  \\u{202e}7
2023-11-14 23:13:20  kick-off  auction:8                                                                -          -
2023-11-14 22:13:20  sale      auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be  1500000000000000000000          7
";
    assert_eq!(history.told(&["activity"]), expected);
    let told = history.json(&["activity"]);
    assert_eq!(told["entries"][2]["amount"], "1500000000000000000000");
    assert_eq!(told["next"], Value::Null);
}

#[test]
fn activity_is_read_in_pages_and_by_type_and_subject() {
    let history = History::busy();
    let mut kinds = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut args = vec!["activity", "--limit", "2"];
        if let Some(cursor) = &cursor {
            args.extend(["--cursor", cursor]);
        }
        let told = history.json(&args);
        let entries = told["entries"].as_array().unwrap().clone();
        kinds.extend(entries.iter().map(|entry| entry["type"].clone()));
        match told["next"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    assert_eq!(kinds, ["kick", "sale", "sale"]);
    let page = history.told(&["activity", "--limit", "2"]);
    let hint = format!("\n\nolder ones: --cursor {}\n", cursor.unwrap());
    assert!(page.ends_with(&hint), "{page}");
    for (args, count) in [
        (&["--type", "sale"][..], 2),
        (&["--type", "sale", "--type", "kick"], 3),
        (&["--type", "sale,kick"], 3),
        (&["--subject", AUCTION], 2),
        (&["--subject", &format!("auction:{ADDRESS}")], 2),
        (&["--auction", ADDRESS], 2),
        (&["--auction", "8", "--reorged"], 1),
        (&["--auction", ADDRESS, "--type", "kick"], 0),
    ] {
        let told = history.json(&[&["activity"], args].concat());
        assert_eq!(told["entries"].as_array().unwrap().len(), count, "{args:?}");
    }
}

#[test]
fn analytics_are_a_table_by_type_and_what_else_is_told_apart() {
    let history = History::busy();
    let expected = "\
type  count           sum of amount
kick      1                       -
sale      2  1500000000000000000005
";
    assert_eq!(history.told(&["analytics"]), expected);
    let told = history.told(&["analytics", "--by", "hour,subject", "--hours", "2"]);
    let lines: Vec<&str> = told.lines().collect();
    let head = format!(
        "type  hour (UTC)        {:<50}  count           sum of amount",
        "subject"
    );
    assert_eq!((lines.len(), lines[0]), (3, head.as_str()), "{told}");
    for (line, hour) in lines[1..].iter().map(|line| (line, &line[6..22])) {
        assert!(hour.starts_with("20") && hour.ends_with(":00"), "{line}");
    }
    let told = history.json(&["analytics", "--type", "sale", "--by", "subject"]);
    let rows = json!([{
        "type": "sale", "subject": AUCTION, "count": 2, "sums": { "amount": "1500000000000000000005" },
    }]);
    assert_eq!(told["rows"], rows);
    let told = history.json(&["analytics", "--auction", "8"]);
    assert_eq!(told["rows"][0]["type"], "kick");
}

#[test]
fn alerts_that_failed_are_told_and_sent_again() {
    let history = History::new();
    history.fail(FAILED, "503 of https://ops.example/hook");
    history.fail("00000000000000000000000000000001", "no\nanswer");
    let expected = format!(
        "time (UTC)           id                                to               why\n\
         2023-11-14 22:13:20  00000000000000000000000000000001  big/webhook/ops  no\\nanswer\n\
         2023-11-14 22:13:20  {FAILED}  big/webhook/ops  503 of https://ops.example/hook\n"
    );
    assert_eq!(history.told(&["alerts", "failed"]), expected);
    let told = history.json(&["alerts", "failed", "--limit", "1"]);
    let failed = json!([{
        "id": "00000000000000000000000000000001", "queue": "big/webhook/ops", "reason": "no\nanswer",
        "at": 1_700_000_000, "alert": { "rule": "big" },
    }]);
    assert_eq!(told, json!({ "failed": failed }));
    let told = history.told(&["alerts", "resend", FAILED]);
    assert_eq!(told, "1 alert waits to be sent again\n");
    let again = history.run(&["alerts", "resend", FAILED]);
    let expected = format!("error: no alert that failed has the id \"{FAILED}\"\n");
    assert_eq!((again.status, again.err), (2, expected));
    let told = history.json(&["alerts", "resend", "--all"]);
    assert_eq!(told, json!({ "status": "waiting", "alerts": 1 }));
    let told = history.told(&["alerts", "resend", "--all"]);
    assert_eq!(told, "no alert has failed: nothing is sent again\n");
}

#[test]
fn that_there_is_nothing_is_said_in_words() {
    let history = History::new();
    for (args, expected) in [
        (&["activity"][..], "nothing has happened yet that is kept\n"),
        (
            &["activity", "--type", "sale"],
            "nothing of this kind is kept\n",
        ),
        (
            &["activity", "--cursor", &"0".repeat(64)],
            "nothing older is kept\n",
        ),
        (&["analytics"], "nothing was counted in the last 24 h\n"),
        (
            &["analytics", "--hours", "2", "--auction", ADDRESS],
            "nothing of this kind was counted in the last 2 h\n",
        ),
        (&["alerts", "failed"], "no alert has failed\n"),
    ] {
        assert_eq!(history.told(args), expected, "{args:?}");
    }
    assert_eq!(
        history.json(&["activity"]),
        json!({ "entries": [], "next": null })
    );
}

/// Arguments that cannot be used, and what is said about them.
const MISTAKES: [(&[&str], &str); 12] = [
    (
        &["activity", "--limit", "0"],
        "`limit` is \"0\": not a whole number from 1 to 1000",
    ),
    (
        &["activity", "--limit", "many"],
        "`limit` is \"many\": not a whole number from 1 to 1000",
    ),
    (
        &["activity", "--cursor", "5"],
        "`cursor` is \"5\": a cursor is the `id` of an entry",
    ),
    (
        &["activity", "--type", "a sale"],
        "`type`: type of update \"a sale\" is not 1 to 64 ASCII letters",
    ),
    (
        &["activity", "--subject", ""],
        "`subject`: tag \"\" is empty",
    ),
    (
        &["activity", "--auction", "0x12"],
        "`auction`: subject \"auction:0x12\" is not like auction:{id}; an address is",
    ),
    (
        &["analytics", "--hours", "1d"],
        "`hours` is \"1d\": not a whole number from 1 to 168",
    ),
    (
        &["analytics", "--hours", "999"],
        "`hours` is \"999\": not a whole number from 1 to 168",
    ),
    (
        &["analytics", "--by", "day"],
        "`by` is \"day\": not `hour` or `subject`",
    ),
    (
        &["alerts", "failed", "--limit", "1001"],
        "`limit` is \"1001\": not a whole number from 1 to 1000",
    ),
    (
        &["alerts", "resend", "5"],
        "the id of an alert has 32 hexadecimal digits",
    ),
    (
        &["alerts", "resend"],
        "the following required arguments were not provided",
    ),
];

#[test]
fn what_cannot_be_asked_is_wrong_usage() {
    let history = History::new();
    for (args, expected) in MISTAKES {
        let ran = history.run(args);
        assert_eq!((ran.status, ran.out.as_str()), (2, ""), "{args:?}: {ran:?}");
        let said = ran.err.strip_prefix("error: ").unwrap();
        assert!(said.starts_with(expected), "{args:?}: {ran:?}");
    }
}

#[test]
fn where_nothing_is_kept_that_is_said() {
    let mut history = History::new();
    let commands: [&[&str]; 4] = [
        &["activity"],
        &["analytics"],
        &["alerts", "failed"],
        &["alerts", "resend", "--all"],
    ];
    let fails = |history: &History, status, expected: &str| {
        for args in commands {
            let ran = history.run(args);
            assert_eq!((ran.status, ran.out.as_str()), (status, ""), "{ran:?}");
            assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
        }
    };
    history.configure("");
    fails(&history, 2, "neither [activity] nor [[alerts]]");
    history.directory.configure(KEPT);
    fails(
        &history,
        2,
        "no Redis is configured, so that each proxy keeps what happened to itself",
    );
    history.configure(KEPT);
    history.redis.stop();
    fails(&history, 1, "refused");
    let ran = Directory::new().run(&["activity"]);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains("there is no tagcache.toml here"),
        "{ran:?}"
    );
}

#[test]
fn a_running_proxy_tells_the_same() {
    let (history, upstream) = (History::busy(), Upstream::start());
    history.fail(FAILED, "503");
    let commands: [&[&str]; 6] = [
        &["activity"],
        &[
            "activity",
            "--limit",
            "1",
            "--type",
            "sale,kick",
            "--auction",
            ADDRESS,
            "--reorged",
        ],
        &["activity", "--subject", "auction:a b&c", "--json"],
        &["analytics", "--by", "hour,subject"],
        &["alerts", "failed"],
        &["alerts", "failed", "--json"],
    ];
    let of_redis = commands.map(|args| history.told(args));
    let (_proxy, url) = history.proxy(&upstream, KEPT);
    let admin = ["--admin", &url, "--token", TOKEN];
    for (args, of_redis) in commands.iter().zip(of_redis) {
        assert_eq!(
            history.told(&[*args, &admin].concat()),
            of_redis,
            "{args:?}"
        );
    }
    for (args, expected) in MISTAKES {
        let ran = history.run(&[args, &admin].concat());
        assert_eq!(ran.status, 2, "{args:?}: {ran:?}");
        assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
    }
    let told = history.told(&[&["alerts", "resend", FAILED], &admin[..]].concat());
    assert_eq!(told, "1 alert waits to be sent again\n");
    let unknown = [&["alerts", "resend", UNKNOWN], &admin[..]].concat();
    let ran = history.run(&unknown);
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains("no alert that failed has the id"),
        "{ran:?}"
    );
    let denied = history.run(&["activity", "--admin", &url]);
    assert_eq!(denied.status, 1, "{denied:?}");
    assert!(denied.err.contains("TAGCACHE_ADMIN_TOKEN"), "{denied:?}");
}

#[test]
fn a_running_proxy_that_keeps_nothing_says_so() {
    let (history, upstream) = (History::new(), Upstream::start());
    let (_proxy, url) = history.proxy(&upstream, "");
    let admin = ["--admin", &url, "--token", TOKEN];
    for args in [&["analytics"][..], &["alerts", "resend", "--all"]] {
        let ran = history.run(&[args, &admin].concat());
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(
            ran.err.contains("neither [activity] nor [[alerts]]"),
            "{ran:?}"
        );
    }
}

#[test]
fn check_says_what_is_kept_and_what_raises_alerts() {
    let directory = Directory::new();
    let rule = "name = \"big\"\ntypes = [\"sale\"]\nwhen = [\"amount >= 1000.5\"]\ndecimals = { amount = 18 }\n\
                limit = { alerts = 10, per = \"1m\" }\n";
    directory.configure(&format!("[activity]\nkeep = \"30d\"\n[[alerts]]\n{rule}"));
    let ran = directory.run(&["check"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let raised_by = "updates of the type sale, amount >= 1000.5 tokens (18 decimals), to the live channel alone, at most \
                     10 a minute";
    let kept = "the last 20000 events, and counters of each hour for 30d with the sum of amount; new ones are published \
                on `activity:new`";
    for expected in [
        "warning: tagcache.toml:1: activity: no stream announces anything",
        "warning: tagcache.toml:4: alert `big`: no stream announces anything",
        &format!(
            "\nactivity: {kept}\nalert big: {raised_by}\nok: 0 rules, 0 streams, 1 alert, 2 warnings"
        ),
    ] {
        assert!(ran.out.contains(expected), "{expected}\n{}", ran.out);
    }
    let told = directory.run(&["check", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(told["activity"], kept);
    assert_eq!(
        told["alerts"],
        json!([{ "name": "big", "raised_by": raised_by }])
    );
    directory.configure("");
    let told = directory.run(&["check", "--json"]);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (&told["activity"], &told["alerts"]),
        (&Value::Null, &json!([]))
    );
}
