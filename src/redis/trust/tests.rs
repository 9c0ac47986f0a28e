use super::*;

fn server(replid: &str) -> Identity {
    Identity {
        is_master: Some(true),
        replid: Some(replid.into()),
        run: Some("run".into()),
        replicas: 0,
        ..Identity::default()
    }
}

fn last(epoch: u64, ordinal: u64) -> Last {
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Last::Record(RawRecord {
        position: Position::new(epoch, ordinal),
        fields: vec![field("replid", "a"), field("run", "run")],
    })
}

/// Reads the end of the log as a lookup does.
fn look(trust: &Trust, epoch: u64, ordinal: u64) -> Result<Position, Distrust> {
    let sent = trust.sent();
    let position = trust.judge(sent, &server("a"), &last(epoch, ordinal))?;
    trust.read(sent, position);
    Ok(position)
}

#[test]
fn rule_07_a_log_without_a_record_or_of_another_server_is_not_believed() {
    let trust = Trust::default();
    let judge = |identity: &Identity, last: &Last| trust.judge(trust.sent(), identity, last);
    assert_eq!(judge(&server("a"), &Last::Missing), Err(Distrust::Missing));
    assert_eq!(
        judge(&server("a"), &Last::WrongType),
        Err(Distrust::WrongType)
    );
    assert_eq!(judge(&server("b"), &last(1, 4)), Err(Distrust::OtherServer));
    assert_eq!(judge(&server("a"), &last(1, 4)), Ok(Position::new(1, 4)));
}

#[test]
fn rule_07_where_replid_is_hidden_the_run_id_decides() {
    let trust = Trust::default();
    let mut hidden = Identity {
        replid: None,
        ..server("")
    };
    assert!(trust.judge(trust.sent(), &hidden, &last(1, 0)).is_ok());
    hidden.run = Some("restarted".into());
    let judged = trust.judge(trust.sent(), &hidden, &last(1, 0));
    assert_eq!(judged, Err(Distrust::OtherServer));
}

#[test]
fn rule_09_a_tip_lower_than_known_when_the_read_was_sent_is_backwards() {
    let trust = Trust::default();
    assert!(look(&trust, 1, 5).is_ok());
    assert!(look(&trust, 1, 5).is_ok());
    assert_eq!(look(&trust, 1, 4), Err(Distrust::Backwards));
}

#[test]
fn rule_09_a_tip_overtaken_while_its_reply_travels_is_normal() {
    let trust = Trust::default();
    assert!(look(&trust, 1, 5).is_ok());
    let sent = trust.sent();
    trust.wrote(Position::new(1, 6));
    assert!(trust.judge(sent, &server("a"), &last(1, 5)).is_ok());
    assert_eq!(look(&trust, 1, 5), Err(Distrust::Backwards));
}

#[test]
fn rule_09_a_log_rolled_back_into_an_epoch_that_ended_is_backwards() {
    let trust = Trust::default();
    assert!(look(&trust, 1, 5).is_ok());
    assert!(look(&trust, 2, 0).is_ok());
    assert_eq!(look(&trust, 1, 9), Err(Distrust::Backwards));
}

/// Found by the simulation: a node that started in epoch 2 has never seen epoch 1.
#[test]
fn rule_09_a_log_rolled_back_into_an_older_epoch_that_was_never_seen_here_is_backwards() {
    let trust = Trust::default();
    assert!(look(&trust, 2, 5).is_ok());
    let sent = trust.sent();
    assert_eq!(look(&trust, 1, 9), Err(Distrust::Backwards));
    // A reply that is older than the epoch accuses nobody.
    assert!(look(&trust, 3, 0).is_ok());
    assert!(trust.judge(sent, &server("a"), &last(2, 5)).is_ok());
    assert_eq!(look(&trust, 1, 10), Err(Distrust::Backwards));
}

#[test]
fn a_reply_overtaken_by_a_change_of_epoch_neither_accuses_nor_goes_back() {
    let trust = Trust::default();
    assert!(look(&trust, 1, 5).is_ok());
    let sent = trust.sent();
    assert!(look(&trust, 2, 0).is_ok());
    assert!(trust.judge(sent, &server("a"), &last(1, 5)).is_ok());
    trust.read(sent, Position::new(1, 5));
    assert_eq!(trust.epoch(), Some(Epoch::new(2)));
}

#[test]
fn what_this_process_wrote_counts_as_known() {
    let trust = Trust::default();
    trust.wrote(Position::new(3, 2));
    assert!(look(&trust, 3, 2).is_ok());
    assert_eq!(look(&trust, 3, 1), Err(Distrust::Backwards));
}

#[test]
fn an_append_must_land_behind_the_opening_record_and_all_that_is_known() {
    for (position, good) in [
        (Position::new(3, 5), true),
        (Position::new(3, 4), false),
        (Position::new(3, 0), false),
        (Position::new(3, 3), false),
        (Position::new(4, 5), false),
    ] {
        let trust = Trust::default();
        assert!(look(&trust, 3, 4).is_ok());
        let judged = trust.judge_appended(trust.sent(), Epoch::new(3), position);
        assert_eq!(judged.is_ok(), good, "{position}");
    }
    // Nothing known of this epoch: its opening record is still not a place for a purge.
    let trust = Trust::default();
    let judged = trust.judge_appended(trust.sent(), Epoch::new(3), Position::new(3, 0));
    assert_eq!(judged, Err(Distrust::Backwards));
}

/// An append on a log that was rolled back by one record restores its length, not its records.
#[test]
fn rule_09_an_epoch_that_went_backwards_is_not_believed_again() {
    let (by_append, by_look) = (Trust::default(), Trust::default());
    for trust in [&by_append, &by_look] {
        assert!(look(trust, 3, 4).is_ok());
    }
    let appended = by_append.judge_appended(by_append.sent(), Epoch::new(3), Position::new(3, 4));
    assert!(appended.is_err());
    assert!(look(&by_look, 3, 3).is_err());
    for trust in [&by_append, &by_look] {
        trust.wrote(Position::new(3, 9));
        assert_eq!(look(trust, 3, 10), Err(Distrust::Backwards));
        assert!(look(trust, 4, 0).is_ok());
        assert_eq!(look(trust, 3, 10), Err(Distrust::Backwards));
    }
}

#[test]
fn rule_08_trust_is_lost_once_for_connections_of_one_generation() {
    let trust = Trust::default();
    let verified = trust.generation();
    trust.lose(verified);
    trust.lose(verified);
    assert_eq!(trust.generation(), verified + 1);
}

#[test]
fn memory_of_epochs_is_bounded() {
    let trust = Trust::default();
    for epoch in 1..1_000 {
        trust.wrote(Position::new(epoch, 0));
    }
    assert_eq!(trust.known.lock().left.len(), REMEMBERED);
}
