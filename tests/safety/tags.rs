//! SAFETY 48, and where tags come from.

use tagcache_test_support::{Origin, Site, ok, rule, secs};
use tower_tagcache::Rule;

const MIXED: &str = "0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B";

fn numbered() -> Origin {
    Origin::answering(|asked| ok(&[], asked.number.to_string()))
}

#[tokio::test]
async fn safety_48_spellings_of_one_address_are_one_tag() {
    let (lower, upper) = (
        MIXED.to_lowercase(),
        MIXED.to_uppercase().replace("0X", "0x"),
    );
    let encoded = MIXED.replace("0x", "%30x").replace('b', "%62");
    for template in ["auction:{address:address}", "auction:{address}"] {
        for path in [MIXED, &lower, &upper, &encoded] {
            for named in [MIXED, &lower, &upper] {
                let rule = Rule::new("auction", "/auctions/{address}")
                    .ttl(secs(60))
                    .tag(template);
                let site = Site::new(rule, &numbered());
                let path = format!("/auctions/{path}");
                site.get(&path).await;
                let purger = site.cache.purger();
                purger
                    .tag(format!("auction:{named}"))
                    .await
                    .expect("a purge");
                let reply = site.get(&path).await;
                assert_eq!(reply.text(), "2", "{template}: {path} by {named}");
            }
        }
    }
}

#[tokio::test]
async fn safety_48_tags_are_decoded_and_trimmed_but_else_told_apart() {
    let rule = || {
        Rule::new("by", "/by/{what}")
            .ttl(secs(60))
            .tag("p:{what}")
            .tag("q:{query.id:lower}")
    };
    let rows = [
        ("/by/a%3Ab?id=x", "p:a:b", true),
        ("/by/a%3ab?id=x", "p:a:b", true),
        ("/by/a%20b?id=x", "p:a b", true),
        ("/by/a?id=%58", "q:x", true),
        ("/by/a?i%64=X", "q:x", true),
        ("/by/a?id=1&id=2", "q:2", true),
        ("/by/A?id=x", "p:a", false),
        ("/by/a%253Ab?id=x", "p:a:b", false),
        ("/by/a+b?id=x", "p:a b", false),
    ];
    for (path, tag, purged) in rows {
        let site = Site::new(rule(), &numbered());
        site.get(path).await;
        assert!(site.get(path).await.is_hit(), "{path}");
        site.cache.purger().tag(tag).await.expect("a purge");
        assert_eq!(
            site.get(path).await.text() == "2",
            purged,
            "{path} by {tag}"
        );
    }
}

#[tokio::test]
async fn tags_listed_in_response_fields_purge_and_are_not_sent() {
    let fields = [
        ("surrogate-key", "one two"),
        ("Surrogate-Key", " three\tfour "),
        ("cache-tag", "five six,seven"),
        ("edge-cache-tag", "eight"),
        ("x-other", "nine"),
    ];
    let tags = ["one", "two", "three", "four", "five six", "seven", "eight"];
    for (tag, purged) in tags
        .map(|tag| (tag, true))
        .into_iter()
        .chain([("nine", false), ("five", false)])
    {
        let origin = Origin::answering(move |asked| ok(&fields, asked.number.to_string()));
        let site = Site::new(rule(), &origin);
        let miss = site.get("/a").await;
        site.cache.purger().tag(tag).await.expect("a purge");
        let reply = site.get("/a").await;
        assert_eq!(reply.text() == "2", purged, "{tag}");
        for reply in [miss, reply, site.get("/a").await, site.head("/a").await] {
            for (name, _) in &fields[..4] {
                assert_eq!(reply.field(name), None, "{name}: {}", reply.how());
            }
            assert_eq!(reply.field("x-other"), Some("nine"));
            assert_eq!(
                reply.field("cache-control"),
                Some("no-cache"),
                "a purge can reach it"
            );
        }
    }
    let origin = Origin::answering(move |_| ok(&fields, "page"));
    let site = Site::new(rule().keep_tag_headers(), &origin);
    site.get("/a").await;
    assert_eq!(
        site.get("/a")
            .await
            .headers
            .get_all("surrogate-key")
            .iter()
            .count(),
        2
    );
}

#[tokio::test]
async fn a_response_that_could_not_be_purged_is_not_stored() {
    let many: Vec<_> = (0..65).map(|n| n.to_string()).collect();
    let (many, long) = (many.join(" "), "y".repeat(257));
    let rows = [
        (
            rule().tag("x:{response.x-id}"),
            ("x-other", "1"),
            "tag-missing",
        ),
        (
            rule().tag("x:{/id}"),
            ("content-encoding", "gzip"),
            "tag-missing",
        ),
        (rule().tag("x:{query.id}"), ("x-other", "1"), "tag-missing"),
        (rule(), ("surrogate-key", &*many), "tag-limit"),
        (rule(), ("surrogate-key", &*long), "tag-limit"),
    ];
    for (rule, (name, value), reason) in rows {
        let value = value.to_owned();
        let origin =
            Origin::answering(move |asked| ok(&[(name, &value)], asked.number.to_string()));
        let site = Site::new(rule, &origin);
        site.get("/a").await;
        let reply = site.get("/a").await;
        assert_eq!(reply.text(), "2", "{reason}");
        // What the body lacks is known too late to be told.
        if !reply.how().ends_with("stored") {
            assert!(reply.how().ends_with(reason), "{}", reply.how());
        }
    }
}

fn listed() -> Origin {
    Origin::answering(|asked| {
        let auctions = match asked.number {
            1 => format!("[{{\"id\":\"{MIXED}\",\"bids\":[1,2]}},{{\"id\":\"b\",\"bids\":[]}}]"),
            2 => "[]".into(),
            _ => "[{\"id\":\"c\"}]".into(),
        };
        ok(&[], format!("{{\"auctions\":{auctions},\"page\":7}}"))
    })
}

#[tokio::test]
async fn tags_read_from_a_json_body_purge() {
    let lower = format!("auction:{}", MIXED.to_lowercase());
    for (tag, purged) in [
        (&*lower, true),
        ("auction:b", true),
        ("page:7", true),
        ("auction:c", false),
        ("page:8", false),
    ] {
        let site = Site::new(
            rule().tag("auction:{/auctions/*/id}").tag("page:{/page}"),
            &listed(),
        );
        site.get("/a").await;
        assert!(site.get("/a").await.is_hit());
        site.cache.purger().tag(tag).await.expect("a purge");
        assert_eq!(!site.get("/a").await.is_hit(), purged, "{tag}");
    }
}

#[tokio::test]
async fn an_empty_list_goes_with_the_family_that_its_members_would_have() {
    let origin = listed();
    let site = Site::new(rule().tag("auction:{/auctions/*/id}"), &origin);
    site.get("/a").await;
    site.cache.purger().all().await.expect("a purge");
    assert_eq!(site.get("/a").await.text(), "{\"auctions\":[],\"page\":7}");
    site.cache
        .purger()
        .family("auction")
        .await
        .expect("a purge");
    assert!(!site.get("/a").await.is_hit());
}
