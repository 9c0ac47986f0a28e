//! P2, SAFETY 63: what stands under an entry's key and is not exactly that entry is a miss, is
//! reported, and is replaced by the next fill.

use tagcache_test_support::{Fleet, Said, until};

/// The byte of a frame that tells the codec's version.
const VERSION: &str = "#3";
/// A byte behind the checksum.
const BODY: &str = "#60";

#[tokio::test]
async fn safety_63_a_spoilt_entry_is_a_miss_that_is_reported_and_replaced() {
    let spoils: [(&str, &[&str]); 6] = [
        ("a foreign type", &["DEL KEY", "LPUSH KEY x"]),
        ("nothing in it", &["SET KEY ''"]),
        ("another program's", &["SET KEY {\"status\":200}"]),
        ("a newer version's", &["BITFIELD KEY SET u8 VERSION 200"]),
        ("a damaged one", &["BITFIELD KEY SET u8 BODY 255"]),
        ("cut short", &["SETRANGE KEY 12 zzzzzzzz"]),
    ];
    for (what, spoil) in spoils {
        let fleet = Fleet::new();
        let nodes = [fleet.node(), fleet.companied()];
        nodes[0].warm("/item/7").await;
        fleet.origin.set("v2");
        let key = fleet.entries().await.remove(0);
        for command in spoil {
            let command = command.replace("KEY", &key);
            let command = command.replace("VERSION", VERSION).replace("BODY", BODY);
            fleet.server.run(&command).await;
        }
        let damaged = fleet.server.command(&["DUMP", &key]).await;
        for node in &nodes {
            let rejected = |said: &Said| matches!(said, Said::EntryRejected(_));
            let answer = node.get("/item/7").await;
            assert_eq!(answer.body, "v2", "{what}: {}", answer.how());
            if node.notices.count(rejected) == 1 {
                assert!(!answer.is_hit(), "{what}: {}", answer.how());
            }
            // A look before the fill is written would find the damage again.
            until("the entry is replaced", async || {
                fleet.server.command(&["DUMP", &key]).await != damaged
            })
            .await;
            assert_eq!(node.warm("/item/7").await.body, "v2", "{what}");
        }
        let rejected = |said: &Said| matches!(said, Said::EntryRejected(_));
        assert_eq!(nodes[0].notices.count(rejected), 1, "{what}");
        let broke = |said: &Said| matches!(said, Said::BreakerOpened);
        assert_eq!(nodes[0].notices.count(broke), 0, "{what}");
    }
}

/// An entry of another resource under this one's key, as a collision or a careless copy would put it.
#[tokio::test]
async fn safety_63_another_resources_entry_is_a_miss() {
    let fleet = Fleet::new();
    let node = fleet.node();
    node.warm("/item/7").await;
    let here = fleet.entries().await.remove(0);
    fleet.origin.set("of 8");
    node.warm("/item/8").await;
    let entries = fleet.entries().await;
    let other = entries
        .iter()
        .find(|key| **key != here)
        .expect("two entries");
    fleet
        .server
        .command(&["COPY", other, &here, "REPLACE"])
        .await;
    fleet.origin.set("of 7");
    let answer = node.get("/item/7").await;
    assert_eq!(answer.body, "of 7", "{}", answer.how());
}
