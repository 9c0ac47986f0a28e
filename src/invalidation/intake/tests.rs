use super::*;
use crate::invalidation::fake::FakeSink;
use crate::invalidation::format::Payload;
use crate::invalidation::on::On;
use crate::invalidation::stream::{Stream, compile};

fn intake(sink: &Arc<FakeSink>) -> EventIntake {
    let sales = Stream::json("sales", Payload::field("data"))
        .on(On::any().purge("auction:{auction}"))
        .on(On::any().soft().purge("auctions"))
        .settle(Duration::from_secs(2));
    EventIntake::new(&compile(vec![sales]).unwrap(), sink.applier())
}

fn data(json: &str) -> Fields {
    vec![(b"data".to_vec(), json.as_bytes().to_vec())]
}

#[tokio::test]
async fn event_without_a_stream_purges_hard_and_soft_and_settles() {
    let sink = FakeSink::new();
    let outcome = intake(&sink)
        .apply("sales", "1", data(r#"{"auction":7}"#))
        .await
        .unwrap();
    let settle = Duration::from_secs(2);
    let expected = [
        (PurgeKind::Hard, vec!["t:auction:7".to_owned()], settle),
        (PurgeKind::Soft, vec!["t:auctions".to_owned()], settle),
    ];
    assert_eq!(sink.purges(), expected);
    assert_eq!(
        (outcome.applied, outcome.ignored, outcome.targets.len()),
        (1, 0, 2)
    );
    assert_eq!(outcome.scope_purged, None);
    assert_eq!(outcome.purged.unwrap().position.to_string(), "1-2");
    assert_eq!(sink.told("EventApplied"), 1);
}

#[tokio::test]
async fn what_is_not_understood_purges_the_scope_and_says_why() {
    let sink = FakeSink::new();
    let outcome = intake(&sink).apply("sales", "1", data("{")).await.unwrap();
    assert_eq!(sink.targets(), ["f:auction", "t:auctions"]);
    assert!(outcome.scope_purged.unwrap().starts_with("not-json: "));
    assert_eq!(sink.told("EventQuarantined"), 1);
}

#[tokio::test]
async fn unknown_stream_is_an_error() {
    let sink = FakeSink::new();
    let error = intake(&sink)
        .apply("kicks", "1", data("{}"))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), r#"no stream "kicks" is configured"#);
    assert_eq!(sink.asked(), 0);
}

#[tokio::test]
async fn refused_purge_is_reported_and_all_purges_were_tried() {
    let sink = FakeSink::new();
    sink.refuse(true);
    let error = intake(&sink)
        .apply("sales", "1", data(r#"{"auction":7}"#))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Pending);
    // Both must be in force in this process, so the second is not skipped.
    assert_eq!(sink.asked(), 2);
    assert_eq!(sink.told("EventApplied"), 0);
}

#[tokio::test]
async fn all_purges_of_an_announced_event_are_tried() {
    let sink = FakeSink::new();
    let sales = Stream::json("sales", Payload::field("data"))
        .on(On::any()
            .purge("auction:{auction}")
            .announce(crate::invalidation::Announce::new("sale").subject("auction:{auction}")))
        .on(On::any().soft().purge("auctions"));
    let intake = EventIntake::new(&compile(vec![sales]).unwrap(), sink.applier());
    sink.refuse(true);
    let refused = intake.apply("sales", "1", data(r#"{"auction":7}"#)).await;
    assert!(refused.is_err());
    assert_eq!(
        sink.asked(),
        2,
        "the soft purge and what is told were never begun"
    );
}
