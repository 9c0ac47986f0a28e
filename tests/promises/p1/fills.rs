//! P1: a fill that began before a purge and ends after it is born invalid, whichever way it came to be
//! a fill (SAFETY 37, 38; PROTOCOL 15 to 17).
//!
//! > fill begins · reads v1 · data become v2 · purge returns · fill is stored · v1 hit

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_LANGUAGE, ETAG, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use tagcache_test_support::{Answer, Fleet, Held, Node, Origin, item_rule, path};
use tokio::task::JoinHandle;

/// Past the lifetime of the usual rule.
const EXPIRY: Duration = Duration::from_secs(61);

const HARD: &[bool] = &[false];
const HARD_AND_SOFT: &[bool] = &[false, true];

/// A fill that has read v1 and waits, and the clients who wait for it.
struct Filling {
    held: Held,
    client: Option<JoinHandle<Answer>>,
    followers: Vec<JoinHandle<Answer>>,
    /// Entries that it will store.
    entries: usize,
}

impl Filling {
    const fn of(held: Held, client: Option<JoinHandle<Answer>>) -> Self {
        Self {
            held,
            client,
            followers: Vec::new(),
            entries: 1,
        }
    }
}

/// One way to fill.
struct Way<'a> {
    fleet: &'a dyn Fn() -> Fleet,
    request: &'a dyn Fn() -> Request<Empty<Bytes>>,
    soft: &'a [bool],
}

impl Way<'_> {
    /// Tells the story for each kind of purge, on the node that fills and on another one, with
    /// companions and without.
    async fn never_brings_v1_back(&self, begin: impl AsyncFn(&Fleet, &Node) -> Filling) {
        for &soft in self.soft {
            for by_other in [false, true] {
                for companions in [false, true] {
                    let case = format!("soft {soft}, by other {by_other}, companions {companions}");
                    println!("{case}");
                    self.tell(&begin, soft, by_other, companions).await;
                }
            }
        }
    }

    async fn tell(
        &self,
        begin: &impl AsyncFn(&Fleet, &Node) -> Filling,
        soft: bool,
        by_other: bool,
        companions: bool,
    ) {
        let fleet = (self.fleet)();
        let (a, b) = (fleet.node_if(companions), fleet.node_if(companions));
        b.warm("/item/unrelated").await;
        let mut filling = begin(&fleet, &a).await;
        filling.held.arrived().await;
        fleet.forget_entries().await;

        fleet.origin.set("v2");
        let purger = if by_other { b.purger() } else { a.purger() };
        let purger = if soft { purger.soft() } else { purger };
        purger.tag("item:7").await.expect("redis is there");

        // Followers that cannot use what they waited for fill anew: not before we have looked.
        let again = fleet.origin.hold_if(is_follower);
        filling.held.release();
        if let Some(client) = filling.client {
            client.await.expect("the client is answered");
        }
        fleet.stored(filling.entries).await;
        let seen = b.send((self.request)()).await;
        assert_eq!(seen.body, "v2", "{}", seen.how());
        let purged = if soft { "soft-purged" } else { "purged" };
        let how = (seen.param("fwd"), seen.detail());
        assert_eq!(how, (Some("stale"), purged), "the late fill was found");
        again.release();
        for follower in filling.followers {
            follower.await.expect("each follower is answered");
        }
        assert_eq!(a.send((self.request)()).await.body, "v2");
    }
}

fn item() -> Request<Empty<Bytes>> {
    path("/item/7")
}

fn follower() -> Request<Empty<Bytes>> {
    let mut request = item();
    let client = "follower".parse().expect("a field value");
    request.headers_mut().insert("client", client);
    request
}

fn is_follower(request: &Parts) -> bool {
    request.headers.contains_key("client")
}

#[tokio::test]
async fn safety_37_rule_15_stamp_before_a_miss() {
    let way = Way {
        fleet: &Fleet::new,
        request: &item,
        soft: HARD_AND_SOFT,
    };
    way.never_brings_v1_back(async |fleet, a| {
        let held = fleet.origin.hold();
        let client = a.begin(item());
        Filling::of(held, Some(client))
    })
    .await;
}

#[tokio::test]
async fn safety_37_rule_15_stamp_before_a_miss_whose_body_is_still_on_its_way() {
    let way = Way {
        fleet: &Fleet::new,
        request: &item,
        soft: HARD_AND_SOFT,
    };
    way.never_brings_v1_back(async |fleet, a| {
        let held = fleet.origin.hold_body();
        let client = a.begin(item());
        Filling::of(held, Some(client))
    })
    .await;
}

#[tokio::test]
async fn safety_38_rule_15_stamp_before_a_fill_with_coalesced_followers() {
    let way = Way {
        fleet: &Fleet::new,
        request: &item,
        soft: HARD_AND_SOFT,
    };
    way.never_brings_v1_back(async |fleet, a| {
        let mut held = fleet.origin.hold();
        let first = a.begin(item());
        held.arrived().await;
        Filling {
            followers: (0..3).map(|_| a.begin(follower())).collect(),
            ..Filling::of(held, Some(first))
        }
    })
    .await;
}

#[tokio::test]
async fn safety_38_rule_16_stamp_before_a_refresh_behind_a_stale_response() {
    let fleet = || Fleet::new().rule(item_rule().stale_while_revalidate(Duration::from_secs(600)));
    // After a soft purge this rule may serve v1 as stale.
    let way = Way {
        fleet: &fleet,
        request: &item,
        soft: HARD,
    };
    way.never_brings_v1_back(async |fleet, a| {
        a.warm("/item/7").await;
        fleet.clock.advance(EXPIRY);
        let held = fleet.origin.hold();
        let stale = a.get("/item/7").await;
        assert_eq!(stale.detail(), "stale-while-revalidate");
        Filling::of(held, None)
    })
    .await;
}

/// An origin with entity-tags, which answers 304 to whoever has the present data.
fn tagged(request: &Parts, data: &str) -> Response<Bytes> {
    let etag = format!("\"{data}\"");
    let response = Response::builder().header(ETAG, &etag);
    let theirs = request.headers.get(IF_NONE_MATCH);
    let has = theirs.is_some_and(|theirs| theirs.as_bytes() == etag.as_bytes());
    let response = if has {
        response.status(StatusCode::NOT_MODIFIED).body(Bytes::new())
    } else {
        response.body(Bytes::copy_from_slice(data.as_bytes()))
    };
    response.expect("a good response")
}

#[tokio::test]
async fn safety_38_rule_17_stamp_before_a_304_that_freshens() {
    let fleet = || Fleet::new().origin(Origin::of_data(tagged));
    let way = Way {
        fleet: &fleet,
        request: &item,
        soft: HARD_AND_SOFT,
    };
    way.never_brings_v1_back(async |fleet, a| {
        a.warm("/item/7").await;
        fleet.clock.advance(EXPIRY);
        let mut held = fleet.origin.hold();
        let client = a.begin(item());
        held.arrived().await;
        assert_eq!(fleet.origin.last().parts.headers[IF_NONE_MATCH], "\"v1\"");
        Filling::of(held, Some(client))
    })
    .await;
}

#[tokio::test]
async fn safety_38_rule_16_stamp_before_a_refill_after_a_soft_purge() {
    let way = Way {
        fleet: &Fleet::new,
        request: &item,
        soft: HARD_AND_SOFT,
    };
    way.never_brings_v1_back(async |fleet, a| {
        a.warm("/item/7").await;
        let soft = a.purger().soft().tag("item:7").await;
        soft.expect("redis is there");
        let held = fleet.origin.hold();
        let client = a.begin(item());
        Filling::of(held, Some(client))
    })
    .await;
}

#[tokio::test]
async fn safety_38_rule_15_stamp_before_the_fill_of_a_variant() {
    let varying = |_: &Parts, data: &str| {
        let response = Response::builder().header(VARY, "accept-language");
        let body = Bytes::copy_from_slice(data.as_bytes());
        response.body(body).expect("a good response")
    };
    let in_language = |language: &str| {
        let mut request = item();
        let language = language.parse().expect("a field value");
        request.headers_mut().insert(ACCEPT_LANGUAGE, language);
        request
    };
    let way = Way {
        fleet: &|| Fleet::new().origin(Origin::of_data(varying)),
        request: &|| in_language("de"),
        soft: HARD_AND_SOFT,
    };
    way.never_brings_v1_back(async |fleet, a| {
        a.warm_by(|| in_language("en")).await;
        let held = fleet.origin.hold();
        let client = a.begin(in_language("de"));
        Filling {
            // The variant, and the list of fields that selects it.
            entries: 2,
            ..Filling::of(held, Some(client))
        }
    })
    .await;
}
