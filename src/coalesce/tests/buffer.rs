use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::coalesce::buffer::Buffer;
use http_body::Body;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio_test::{assert_pending, assert_ready, task};

fn reader(buffer: &Arc<Buffer>) -> FlightReader {
    Buffer::reader(buffer).expect("its first byte is there")
}

fn push(buffer: &Buffer, text: &'static str) {
    buffer.pass(Bytes::from_static(text.as_bytes()));
}

/// The next frame, if it is there; panics on an error or trailers.
fn next(reader: &mut FlightReader) -> Poll<Option<Bytes>> {
    let frame = Pin::new(reader).poll_frame(&mut Context::from_waker(Waker::noop()));
    frame.map(|frame| {
        let frame = frame?.expect("the body is not broken");
        Some(frame.into_data().expect("data"))
    })
}

fn trailers() -> HeaderMap {
    let value = http::HeaderValue::from_static("v");
    HeaderMap::from_iter([(http::HeaderName::from_static("x-last"), value)])
}

#[test]
fn each_reader_reads_from_the_first_byte_at_its_own_pace() {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let mut early = reader(&buffer);
    push(&buffer, "a");
    push(&buffer, "b");
    assert_eq!(next(&mut early), Poll::Ready(Some("a".into())));
    let mut late = reader(&buffer);
    assert_eq!(next(&mut early), Poll::Ready(Some("b".into())));
    assert_eq!(next(&mut early), Poll::Pending);
    assert_eq!(next(&mut late), Poll::Ready(Some("a".into())));
    buffer.end(Ok(None));
    assert_eq!(next(&mut early), Poll::Ready(None));
    assert_eq!(next(&mut late), Poll::Ready(Some("b".into())));
    assert_eq!(next(&mut late), Poll::Ready(None));
    assert_eq!(next(&mut late), Poll::Ready(None), "polled after its end");
    let mut latest = reader(&buffer);
    assert_eq!(next(&mut latest), Poll::Ready(Some("a".into())));
}

#[test]
fn a_reader_that_waits_is_woken_by_a_chunk_and_by_the_end() {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let mut first = task::spawn(reader(&buffer));
    let mut second = task::spawn(reader(&buffer));
    let poll = |task: &mut task::Spawn<FlightReader>| {
        task.enter(|cx, reader| {
            reader
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.is_ok()))
        })
    };
    for (name, step) in [
        ("chunk", Box::new(|| push(&buffer, "a")) as Box<dyn Fn()>),
        ("end", Box::new(|| buffer.end(Ok(None)))),
    ] {
        assert_pending!(poll(&mut first), "{name}");
        assert_pending!(poll(&mut second), "{name}");
        step();
        assert!(first.is_woken() && second.is_woken(), "{name}");
        assert_ready!(poll(&mut first), "{name}");
        assert_ready!(poll(&mut second), "{name}");
    }
}

#[test]
fn an_empty_chunk_wakes_nobody_and_is_no_frame() {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let mut waiting = task::spawn(reader(&buffer));
    let pending = waiting.enter(|cx, reader| reader.poll_frame(cx).is_pending());
    push(&buffer, "");
    assert!(pending && !waiting.is_woken());
}

#[test]
fn a_reader_that_moved_to_another_task_is_woken_there() {
    #[derive(Default)]
    struct Count(std::sync::atomic::AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let mut moved = reader(&buffer);
    let (old, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
    for task in [&old, &new, &new] {
        let waker = Waker::from(Arc::clone(task));
        let polled = Pin::new(&mut moved).poll_frame(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    push(&buffer, "a");
    assert_eq!(old.0.load(std::sync::atomic::Ordering::SeqCst), 0);
    assert_eq!(new.0.load(std::sync::atomic::Ordering::SeqCst), 1);
}

#[test]
fn the_end_of_the_stream_is_known_exactly() {
    // What was pushed, the end, frames read before asking, and the answer.
    type Row = (
        &'static str,
        &'static [&'static str],
        Option<End>,
        usize,
        bool,
    );
    type End = Result<Option<HeaderMap>, Arc<str>>;
    let broken = || Some(Err("broken".into()));
    let rows: [Row; 10] = [
        ("nothing yet", &[], None, 0, false),
        ("all read, but more may come", &["a"], None, 1, false),
        ("empty", &[], Some(Ok(None)), 0, true),
        ("not all read", &["a", "b"], Some(Ok(None)), 1, false),
        ("all read", &["a", "b"], Some(Ok(None)), 2, true),
        (
            "trailers to come",
            &["a"],
            Some(Ok(Some(trailers()))),
            1,
            false,
        ),
        ("trailers read", &["a"], Some(Ok(Some(trailers()))), 2, true),
        // An error is to come: who stops here would take a broken body for a whole one.
        ("broken", &[], broken(), 0, false),
        ("broken after all that came", &["a"], broken(), 1, false),
        ("error read", &["a"], broken(), 2, true),
    ];
    for (name, chunks, end, frames, expected) in rows {
        let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
        chunks.iter().for_each(|chunk| push(&buffer, chunk));
        end.into_iter().for_each(|end| buffer.end(end));
        let mut reader = reader(&buffer);
        for _ in 0..frames {
            let mut frame = task::spawn(reader.frame());
            assert!(assert_ready!(frame.poll(), "{name}").is_some(), "{name}");
        }
        assert_eq!(reader.is_end_stream(), expected, "{name}");
    }
}

#[test]
fn the_size_that_is_left_is_known_exactly() {
    let ranged = |lower, upper| {
        let mut size = SizeHint::new();
        size.set_upper(upper);
        size.set_lower(lower);
        size
    };
    let rows = [
        (
            "exact",
            SizeHint::with_exact(5),
            vec![(5, Some(5)), (3, Some(3)), (0, Some(0))],
        ),
        (
            "unknown",
            SizeHint::new(),
            vec![(0, None), (0, None), (0, None)],
        ),
        (
            "range",
            ranged(4, 10),
            vec![(4, Some(10)), (2, Some(8)), (0, Some(5))],
        ),
        // The body lied; that is judged at its end, and must not overflow here.
        (
            "too small",
            SizeHint::with_exact(3),
            vec![(3, Some(3)), (1, Some(1)), (0, Some(0))],
        ),
    ];
    for (name, size, expected) in rows {
        let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
        let mut reader = reader(&buffer).sized(size);
        push(&buffer, "ab");
        push(&buffer, "cde");
        for (place, expected) in expected.into_iter().enumerate() {
            if place > 0 {
                assert!(matches!(next(&mut reader), Poll::Ready(Some(_))), "{name}");
            }
            let left = reader.size_hint();
            assert_eq!(
                (left.lower(), left.upper()),
                expected,
                "{name} after {place}"
            );
        }
    }
}

#[test]
fn safety_25_a_broken_body_ends_with_its_error_once() {
    let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
    let mut reader = reader(&buffer);
    push(&buffer, "a");
    buffer.end(Err("connection reset".into()));
    buffer.end(Ok(None));
    assert_eq!(next(&mut reader), Poll::Ready(Some("a".into())));
    let mut frame = task::spawn(reader.frame());
    let error = assert_ready!(frame.poll())
        .expect("a frame")
        .expect_err("the first end counts");
    assert_eq!(error.to_string(), "connection reset");
    drop(frame);
    assert_eq!(next(&mut reader), Poll::Ready(None));
}

/// A waker that drops a reader of the same body, as one does that ends a task which owns it.
struct DropsReader(Mutex<Option<FlightReader>>);

impl Wake for DropsReader {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().take());
    }
}

#[test]
fn a_waker_may_drop_another_reader() {
    let steps: [fn(&Buffer); 4] = [
        |buffer| push(buffer, "a"),
        |buffer| buffer.end(Ok(None)),
        |buffer| {
            push(buffer, "a");
            buffer.cut_slowest();
        },
        |buffer| buffer.outgrow(),
    ];
    for step in steps {
        let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
        let mut waiting = reader(&buffer);
        let victim = Arc::new(DropsReader(Mutex::new(Some(reader(&buffer)))));
        let waker = Waker::from(Arc::clone(&victim));
        let polled = Pin::new(&mut waiting).poll_frame(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        step(&buffer);
        // Also as the waker of the writer, which the drop of a reader wakes.
        let mut writer = std::pin::pin!(buffer.until_unwanted());
        let _ = writer.as_mut().poll(&mut Context::from_waker(&waker));
        drop(waiting);
        assert!(victim.0.lock().is_none());
    }
}

#[derive(Debug, Clone)]
enum Step {
    Push(u8),
    Join,
    Read(prop::sample::Index),
    Leave(prop::sample::Index),
    Outgrow,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u8>().prop_map(Step::Push),
        2 => Just(Step::Join),
        6 => any::<prop::sample::Index>().prop_map(Step::Read),
        1 => any::<prop::sample::Index>().prop_map(Step::Leave),
        1 => Just(Step::Outgrow),
    ]
}

proptest! {
    #[test]
    fn whatever_the_order_each_reader_reads_all_of_it_once(steps in prop::collection::vec(step(), 0..80)) {
        let buffer = Arc::new(Buffer::new(&Budget::new(u64::MAX)));
        let mut written: Vec<u8> = Vec::new();
        let mut readers: Vec<(FlightReader, Vec<u8>)> = Vec::new();
        for step in steps {
            match step {
                Step::Push(byte) => {
                    written.push(byte);
                    buffer.pass(Bytes::copy_from_slice(&[byte]));
                }
                Step::Join => readers.extend(Buffer::reader(&buffer).map(|reader| (reader, Vec::new()))),
                Step::Read(place) if !readers.is_empty() => {
                    let (reader, read) = place.get_mut(&mut readers[..]);
                    match next(reader) {
                        Poll::Ready(Some(chunk)) => read.extend_from_slice(&chunk),
                        polled => {
                            prop_assert!(polled.is_pending());
                            prop_assert_eq!(&*read, &written);
                        }
                    }
                }
                Step::Leave(place) if !readers.is_empty() => {
                    readers.swap_remove(place.index(readers.len()));
                }
                Step::Outgrow => buffer.outgrow(),
                Step::Read(_) | Step::Leave(_) => {}
            }
            for (_, read) in &readers {
                prop_assert!(written.starts_with(read));
            }
        }
        buffer.end(Ok(None));
        for (mut reader, mut read) in readers {
            while let Poll::Ready(Some(chunk)) = next(&mut reader) {
                read.extend_from_slice(&chunk);
            }
            prop_assert!(reader.is_end_stream());
            prop_assert_eq!(&read, &written);
        }
    }
}
