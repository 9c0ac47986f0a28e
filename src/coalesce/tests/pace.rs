//! Bodies that are too large to store: the writer keeps to the pace of the readers.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::coalesce::buffer::{Buffer, WINDOW};
use http_body::Body;
use tokio_test::{assert_pending, assert_ready_eq, task};

fn reader(buffer: &Arc<Buffer>) -> FlightReader {
    Buffer::reader(buffer).expect("its first byte is there")
}

/// An outgrown body of `chunks` chunks, each half a window.
fn outgrown(chunks: usize) -> (Arc<Buffer>, FlightReader) {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let reader = reader(&buffer);
    buffer.outgrow();
    for _ in 0..chunks {
        push(&buffer);
    }
    (buffer, reader)
}

fn push(buffer: &Buffer) {
    buffer.pass(Bytes::from(vec![0; WINDOW / 2]));
}

/// What a reader finds: a chunk, nothing yet, or that it was cut off.
fn read(reader: &mut FlightReader) -> &'static str {
    match Pin::new(reader).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(Ok(_))) => "chunk",
        Poll::Ready(Some(Err(_))) => "error",
        Poll::Ready(None) => "end",
        Poll::Pending => "nothing",
    }
}

#[test]
fn safety_55_the_writer_waits_for_the_slowest_reader() {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let (mut fast, mut slow) = (reader(&buffer), reader(&buffer));
    buffer.outgrow();
    push(&buffer);
    let mut room = task::spawn(buffer.room());
    assert_ready_eq!(room.poll(), Room::Free, "half a window is kept");
    push(&buffer);

    let mut room = task::spawn(buffer.room());
    assert_pending!(room.poll());
    assert_eq!(read(&mut fast), "chunk");
    assert!(!room.is_woken(), "the slow one needs it still");
    assert_eq!(read(&mut slow), "chunk");
    assert!(room.is_woken());
    assert_ready_eq!(room.poll(), Room::Free);
}

#[test]
fn the_writer_is_woken_when_the_slow_reader_or_the_last_one_leaves() {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let (mut fast, slow) = (reader(&buffer), reader(&buffer));
    buffer.outgrow();
    (0..2).for_each(|_| push(&buffer));
    assert_eq!(read(&mut fast), "chunk");

    let mut room = task::spawn(buffer.room());
    assert_pending!(room.poll());
    drop(slow);
    assert!(room.is_woken());
    assert_ready_eq!(room.poll(), Room::Free);

    push(&buffer);
    let mut room = task::spawn(buffer.room());
    assert_pending!(room.poll());
    drop(fast);
    assert!(room.is_woken());
    assert_ready_eq!(room.poll(), Room::Unread);
}

#[test]
fn what_everybody_has_read_is_freed_once_nobody_can_join() {
    let (buffer, mut only) = outgrown(1);
    assert!(
        Buffer::reader(&buffer).is_some(),
        "its first byte is there still"
    );
    assert_eq!(read(&mut only), "chunk");
    assert!(Buffer::reader(&buffer).is_none(), "it is gone");

    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let mut first = reader(&buffer);
    push(&buffer);
    assert_eq!(read(&mut first), "chunk");
    drop(first);
    assert_eq!(
        read(&mut reader(&buffer)),
        "chunk",
        "it can be stored: all is kept"
    );
}

#[test]
fn safety_56_who_holds_up_others_is_cut_off() {
    let (buffer, mut fast) = outgrown(0);
    let mut slow = reader(&buffer);
    (0..2).for_each(|_| push(&buffer));
    (0..2).for_each(|_| assert_eq!(read(&mut fast), "chunk"));
    let mut slow_task = task::spawn(&mut slow);
    let mut room = task::spawn(buffer.room());
    assert_pending!(room.poll());

    buffer.cut_slowest();
    assert!(room.is_woken());
    assert_ready_eq!(room.poll(), Room::Free);
    assert!(
        !slow_task.enter(|_, reader| reader.is_end_stream()),
        "an error is to come"
    );
    assert_eq!(read(&mut slow), "error");
    assert_eq!(read(&mut slow), "end");
    assert_eq!(read(&mut fast), "nothing", "the other reads on");
    push(&buffer);
    assert_eq!(read(&mut fast), "chunk");
}

#[test]
fn who_was_cut_off_does_not_count_even_if_it_never_looks() {
    let (buffer, mut fast) = outgrown(0);
    let stuck = reader(&buffer);
    (0..2).for_each(|_| push(&buffer));
    (0..2).for_each(|_| assert_eq!(read(&mut fast), "chunk"));
    buffer.cut_slowest();
    drop(fast);
    let mut room = task::spawn(buffer.room());
    assert_ready_eq!(
        room.poll(),
        Room::Unread,
        "an endless body would be read for nobody"
    );
    assert!(buffer.unwanted());
    drop(stuck);
}

#[test]
fn a_reader_that_waits_and_is_cut_off_is_woken() {
    // Woken by the chunk, it has not been polled since: that wakeup must do.
    let (buffer, mut fast) = outgrown(0);
    let mut slow = task::spawn(reader(&buffer));
    assert!(slow.enter(|cx, reader| reader.poll_frame(cx).is_pending()));
    push(&buffer);
    assert!(slow.is_woken());
    assert_eq!(read(&mut fast), "chunk");
    buffer.cut_slowest();
    let polled = slow.enter(|cx, reader| reader.poll_frame(cx));
    assert!(matches!(polled, Poll::Ready(Some(Err(_)))));
}

#[test]
fn nobody_is_cut_off_who_holds_up_nobody() {
    let (buffer, mut alone) = outgrown(4);
    (0..3).for_each(|_| buffer.cut_slowest());
    assert_eq!(read(&mut alone), "chunk", "alone, as slow as it likes");

    // The faster one has something to read itself.
    let (buffer, mut fast) = outgrown(0);
    let mut slow = reader(&buffer);
    (0..3).for_each(|_| push(&buffer));
    assert_eq!(read(&mut fast), "chunk");
    buffer.cut_slowest();
    assert_eq!(read(&mut slow), "chunk");
}

#[test]
fn a_slow_reader_that_keeps_pace_is_not_cut_off() {
    let (buffer, mut fast) = outgrown(0);
    let mut slow = reader(&buffer);
    (0..8).for_each(|_| push(&buffer));
    (0..8).for_each(|_| assert_eq!(read(&mut fast), "chunk"));
    // A whole window each time it is looked at, though the backlog is larger.
    for round in 0..2 {
        (0..2).for_each(|_| assert_eq!(read(&mut slow), "chunk"));
        buffer.cut_slowest();
        assert_eq!(read(&mut fast), "nothing", "{round}");
    }
    assert_eq!(read(&mut slow), "chunk");
    buffer.cut_slowest();
    assert_eq!(read(&mut slow), "error", "half a window is too little");
}
