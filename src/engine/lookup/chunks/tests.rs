use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderValue;

use super::*;
use crate::entry::StoredResponse;
use crate::entry::{ChunkSource, Entry};
use crate::key::{Component, KeyBuilder};
use crate::store::contract::response;

const LENGTH: usize = 5 * CHUNK + 10;

/// Each byte of a chunk is the number of the chunk.
#[derive(Debug)]
struct Numbered;

impl ChunkSource for Numbered {
    fn budget(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn read(
        &self,
        chunks: Range<usize>,
        _: Instant,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>> {
        self.read_on(chunks)
    }

    fn has(&self, _: Range<usize>, _: Instant) -> BoxFuture<'static, Result<bool, Error>> {
        async { Ok(true) }.boxed()
    }

    fn read_on(
        &self,
        chunks: Range<usize>,
    ) -> BoxFuture<'static, Result<Option<Vec<Bytes>>, Error>> {
        let chunk = |number: usize| {
            let byte = u8::try_from(number).expect("a small number");
            Bytes::from(vec![byte; CHUNK.min(LENGTH - number * CHUNK)])
        };
        let chunks = chunks.map(chunk).collect();
        async { Ok(Some(chunks)) }.boxed()
    }
}

fn cut() -> Arc<Cut> {
    let mut key = KeyBuilder::new();
    key.component(Component::Path, b"/a");
    let Entry::Response(stored) = response(&key.finish(), "") else {
        panic!("a response was made");
    };
    let mut head = StoredResponse::clone(&stored);
    let sum = (
        "x-sum".parse().expect("a name"),
        HeaderValue::from_static("7"),
    );
    head.trailers = Some(HeaderMap::from_iter([sum]));
    Arc::new(Cut::new(head, LENGTH, Arc::new(Numbered)))
}

/// What a reader gives: the bytes, and how many lines of trailers.
async fn read(bytes: Range<usize>, trailers: bool) -> (Vec<u8>, usize) {
    let reader = ChunkReader::open(&cut(), bytes, trailers).await;
    let mut reader = reader.expect("no error").expect("no chunk is missing");
    let (mut got, mut lines) = (Vec::new(), 0);
    while let Some(frame) = std::future::poll_fn(|cx| reader.poll_frame(cx)).await {
        match frame.expect("no error").into_data() {
            Ok(data) => got.extend_from_slice(&data),
            Err(frame) => lines += frame.into_trailers().expect("no data").len(),
        }
    }
    assert!(reader.is_end_stream());
    (got, lines)
}

#[tokio::test]
async fn the_whole_has_trailers_and_a_range_has_none_even_over_all_of_it() {
    let whole: Vec<u8> = (0..LENGTH)
        .map(|at| u8::try_from(at / CHUNK).expect("a small number"))
        .collect();
    assert!(read(0..LENGTH, true).await == (whole.clone(), 1));
    for bytes in [
        0..LENGTH,
        0..1,
        CHUNK - 1..CHUNK + 1,
        3 * CHUNK..4 * CHUNK,
        LENGTH - 1..LENGTH,
    ] {
        let expected = whole[bytes.clone()].to_vec();
        assert!(
            read(bytes.clone(), false).await == (expected, 0),
            "{bytes:?}"
        );
    }
}
