//! What reorgs undo.

use super::*;

pub(crate) async fn what_happens_between_copies_of_a_notice_is_not_undone(
    fixture: &impl ActivityFixture,
) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let (old, new) = (update(1, 5, 0, "all"), update(1, 5, 1, "all"));
    // The third copy first, as if the first had been claimed from somebody dead.
    let third = vec![
        seen(&old, "all", 10),
        seen(&new, "all", 21),
        notice("all", 22, 5, 1),
    ];
    teller.tell(third).await;
    assert_eq!(blocks(&store).await, NONE, "as far as is known");
    teller.tell(vec![notice("all", 20, 5, 1)]).await;
    assert_eq!(blocks(&store).await, [5]);
    let much_later = 22 + 31_000;
    teller.tell(vec![notice("all", much_later, 5, 1)]).await;
    assert_eq!(blocks(&store).await, NONE, "another reorg that reads alike");
}

pub(crate) async fn an_entry_whose_reorg_is_undone_comes_back(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let sale = update(1, 5, 0, "all");
    let other = update(1, 4, 0, "all");
    teller
        .tell(vec![seen(&sale, "all", 10), seen(&other, "all", 9)])
        .await;
    teller.tell(vec![notice("all", 20, 5, 1)]).await;
    assert_eq!(blocks(&store).await, [4]);
    // Delivered again, from before the notice.
    assert_eq!(teller.tell(vec![seen(&sale, "all", 10)]).await, 0);
    assert_eq!(blocks(&store).await, [4]);
    assert_eq!(teller.tell(vec![seen(&sale, "all", 30)]).await, 0);
    assert_eq!(blocks(&store).await, [5, 4]);
    // Told again where it stood, also when its notice is forgotten.
    teller.tell(vec![notice("all", 35, 5, 9)]).await;
    for n in 0..70 {
        let above = notice("all", 40_000 + n, 1_000, u128::from(n) + 100);
        teller.tell(vec![above]).await;
    }
    teller.tell(vec![seen(&sale, "all", 30)]).await;
    assert_eq!(blocks(&store).await, [4]);
    teller.tell(vec![seen(&sale, "all", 50_000)]).await;
    assert_eq!(blocks(&store).await, [5, 4]);
    let other_network = ActivityChange::Reorg(ReorgNotice {
        stream: "all".into(),
        place: Some((60_000, 0)),
        at: at(40_000),
        network: Some("other".into()),
        fork_block: 0,
        content: 2,
    });
    teller.tell(vec![other_network]).await;
    assert_eq!(blocks(&store).await, [5, 4]);
    let all_networks = ActivityChange::Reorg(ReorgNotice {
        stream: "all".into(),
        place: Some((60_001, 0)),
        at: at(40_000),
        network: None,
        fork_block: 0,
        content: 3,
    });
    teller.tell(vec![all_networks]).await;
    assert_eq!(blocks(&store).await, NONE);
}

pub(crate) async fn what_has_no_place_in_its_stream_counts_as_it_comes(
    fixture: &impl ActivityFixture,
) {
    let store = fixture.store(bounds());
    let mut teller = Teller::new(&store);
    let sale = update(1, 5, 0, "hooks");
    let event = || ActivityChange::Event(Box::new(sighting(&sale, "hooks", None, 40_000)));
    let reorg = ActivityChange::Reorg(ReorgNotice {
        stream: "hooks".into(),
        place: None,
        at: at(40_000),
        network: None,
        fork_block: 5,
        content: 1,
    });
    teller.tell(vec![event(), reorg]).await;
    assert_eq!(blocks(&store).await, NONE);
    teller.tell(vec![event()]).await;
    assert_eq!(blocks(&store).await, [5]);
    // What nobody says to be of a block is never undone.
    let by_hand = Update::new("sale", "auction:1").unwrap();
    let by_hand = sighting(&by_hand, "", None, 40_000);
    let everywhere = ActivityChange::Reorg(ReorgNotice {
        stream: "".into(),
        place: None,
        at: at(40_000),
        network: None,
        fork_block: 0,
        content: 1,
    });
    teller
        .tell(vec![ActivityChange::Event(Box::new(by_hand)), everywhere])
        .await;
    assert_eq!(
        read(&store, &everything())
            .await
            .iter()
            .filter(|e| !e.is_undone)
            .count(),
        2
    );
}

pub(crate) async fn who_is_no_keeper_any_more_tells_nothing_again(fixture: &impl ActivityFixture) {
    let store = fixture.store(bounds());
    assert!(!is_told_again(&store).await);
}

/// Whether an entry comes back whose batch is told again, behind one that undid it.
pub(crate) async fn is_told_again(store: &Arc<dyn ActivityStore>) -> bool {
    let mut teller = Teller::new(store);
    let sale = update(1, 5, 0, "hooks");
    let sale = sighting(&sale, "hooks", None, 40_000);
    let first = teller.next(vec![ActivityChange::Event(Box::new(sale))]);
    let applied = store.apply(KEEPER, &first).await.unwrap();
    assert_eq!(applied, Applied::Done { new: 1 });
    teller.told = Some(first.through);
    let reorg = ActivityChange::Reorg(ReorgNotice {
        stream: "hooks".into(),
        place: None,
        at: at(40_000),
        network: None,
        fork_block: 5,
        content: 1,
    });
    teller.tell(vec![reorg]).await;
    store.apply(KEEPER, &first).await.unwrap();
    !blocks(store).await.is_empty()
}
