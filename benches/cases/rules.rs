//! Matching a request against many rules, and making its key.

use std::hint::black_box;
use std::time::Duration;

use http::request::Parts;
use tower_tagcache::bench::Rules;
use tower_tagcache::{Query, Rule};

use super::{Case, Run, request};

pub fn cases() -> Vec<Case> {
    vec![
        find("match_hit_1", 1, true),
        find("match_hit_10", 10, true),
        find("match_hit_500", 500, true),
        find("match_miss_1", 1, false),
        find("match_miss_10", 10, false),
        find("match_miss_500", 500, false),
        Case::new("match_and_key_500", |_| {
            let (rules, request) = (Rules::compile(rules(500))?, taken(500));
            assert!(rules.key(&request).is_some());
            Run::plain(move || drop(black_box(rules.key(black_box(&request)))))
        }),
    ]
}

fn find(name: &'static str, count: usize, found: bool) -> Case {
    Case::new(name, move |_| {
        let rules = Rules::compile(rules(count))?;
        let request = if found {
            taken(count)
        } else {
            parts("/service0/health/live/now")
        };
        assert_eq!(rules.find(&request), found);
        Run::plain(move || {
            black_box(rules.find(black_box(&request)));
        })
    })
}

/// Rules of an API with `count` routes.
pub fn rules(count: usize) -> Vec<Rule> {
    let rule = |n: usize| {
        let route = match n % 4 {
            0 => format!("/service{n}/auctions/{{address}}"),
            1 => format!("/service{n}/auctions"),
            2 => format!("/service{n}/auctions/{{address}}/price-history"),
            _ => format!("/service{n}/files/{{*path}}"),
        };
        let rule = Rule::new(format!("rule{n}"), route)
            .ttl(Duration::from_secs(3600))
            .query(Query::allow(["page", "limit"]));
        match n % 4 {
            0 | 2 => rule.tag("auction:{address:address}"),
            _ => rule.tag("auctions"),
        }
    };
    (0..count).map(rule).collect()
}

fn taken(count: usize) -> Parts {
    parts(match count {
        500 => "/service248/auctions/0x8AD13a8dBD37c4E24D9A5b81e5A13E1bE8e9E8F0?page=2",
        _ => "/service0/auctions/0x8AD13a8dBD37c4E24D9A5b81e5A13E1bE8e9E8F0?page=2",
    })
}

fn parts(uri: &'static str) -> Parts {
    request(uri).into_parts().0
}
