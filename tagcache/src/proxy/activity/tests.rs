use super::*;

async fn after(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

fn until(activity: &Activity) -> bool {
    matches!(activity.verdict(), Verdict::Until(_))
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_not_complete_in_time_is_too_slow() {
    let activity = Activity::new(&Timeouts::default());
    after(14).await;
    activity.heard();
    assert!(until(&activity));
    after(1).await;
    assert_eq!(activity.verdict(), Verdict::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_idle_some_time_after_the_last_response() {
    let activity = Activity::new(&Timeouts::default());
    activity.begin();
    activity.wait();
    after(1_000).await;
    assert!(until(&activity), "a request in hand");
    activity.end(true);
    after(74).await;
    assert!(until(&activity));
    after(1).await;
    assert_eq!(activity.verdict(), Verdict::Idle);
    activity.heard();
    assert!(until(&activity), "a request has begun");
    after(15).await;
    assert_eq!(activity.verdict(), Verdict::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn safety_56_a_client_that_takes_nothing_is_too_slow() {
    let activity = Activity::new(&Timeouts::default());
    activity.begin();
    activity.wait();
    activity.wrote(false);
    after(59).await;
    activity.wrote(false);
    assert!(until(&activity));
    activity.wrote(true);
    after(59).await;
    assert!(until(&activity), "something was taken");
    activity.wrote(false);
    after(60).await;
    assert_eq!(activity.verdict(), Verdict::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn safety_56_an_answer_that_nobody_takes_is_not_kept_for_ever() {
    let activity = Activity::new(&Timeouts::default());
    activity.begin();
    activity.wait();
    after(600).await;
    activity.waited();
    after(59).await;
    activity.took();
    after(59).await;
    assert!(until(&activity));
    after(1).await;
    assert_eq!(activity.verdict(), Verdict::TooSlow);
}

#[tokio::test(start_paused = true)]
async fn the_timer_looks_again_before_the_shortest_limit() {
    let activity = Activity::new(&Timeouts::default());
    activity.begin();
    activity.end(false);
    let Verdict::Until(at) = activity.verdict() else {
        panic!("nothing is due")
    };
    assert!(at <= Instant::now() + Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn the_clock_is_read_once_in_a_poll_and_again_after_it() {
    let activity = Activity::new(&Timeouts::default());
    after(1).await;
    let poll = |now| activity.during(|| assert_eq!(activity.now(), now));
    poll(1_000);
    after(2).await;
    assert_eq!(activity.now(), 3_000, "between polls");
    poll(3_000);
    // A poll that lasts: 4 s pass in it.
    activity.read.store(NOT_READ, Relaxed);
    assert_eq!(activity.now(), 3_000);
    after(4).await;
    assert_eq!(activity.now(), 3_000);
    poll(7_000);
}

#[tokio::test(start_paused = true)]
async fn safety_72_a_client_that_ended_its_side_may_have_gone_and_is_not_waited_with_for_long() {
    let activity = Activity::new(&Timeouts::default());
    let cx = Context::from_waker(Waker::noop());
    activity.begin();
    activity.wait();
    assert_eq!(activity.end_of_input(&cx), End::Kept);
    after(4).await;
    assert!(until(&activity));
    after(1).await;
    assert_eq!(activity.verdict(), Verdict::TooSlow);
    activity.waited();
    assert!(until(&activity), "it is being answered");
    activity.end(false);
    assert_eq!(activity.end_of_input(&cx), End::Shown);
}

#[tokio::test(start_paused = true)]
async fn what_http2_reads_begins_no_head() {
    let activity = Activity::new(&Timeouts::default());
    activity.has_streams();
    activity.begin();
    activity.end(false);
    after(70).await;
    activity.heard();
    after(5).await;
    assert_eq!(activity.verdict(), Verdict::Idle);
}

fn end_of_input(activity: &Activity) -> End {
    activity.end_of_input(&Context::from_waker(Waker::noop()))
}

#[tokio::test(start_paused = true)]
async fn a_client_of_live_updates_that_ends_its_side_has_gone() {
    let activity = Arc::new(Activity::new(&Timeouts::default()));
    activity.begin();
    activity.wait();
    assert_eq!(end_of_input(&activity), End::Kept, "an answer is owed");
    activity.listen();
    assert_eq!(end_of_input(&activity), End::Shown);
    // Another stream of the connection is answered first.
    activity.begin();
    activity.wait();
    assert_eq!(end_of_input(&activity), End::Kept);
    activity.end(true);
    assert_eq!(end_of_input(&activity), End::Shown);
    activity.listened();
    activity.end(true);
    assert_eq!(end_of_input(&activity), End::Shown);
}

#[tokio::test(start_paused = true)]
async fn live_updates_that_do_not_come_are_waited_for_and_those_that_are_not_taken_end() {
    let activity = Activity::new(&Timeouts::default());
    activity.begin();
    activity.wait();
    activity.listen();
    after(100_000).await;
    assert!(until(&activity));
    activity.waited();
    after(59).await;
    assert!(until(&activity));
    after(1).await;
    assert_eq!(activity.verdict(), Verdict::TooSlow);
}
