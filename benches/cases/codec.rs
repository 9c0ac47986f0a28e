//! Entries to bytes and back.

use std::hint::black_box;

use tower_tagcache::bench::Stored;

use super::{Case, Run};

pub fn cases() -> Vec<Case> {
    vec![
        encode("encode_1k", 1024),
        encode("encode_64k", 64 * 1024),
        decode("decode_1k", 1024),
        decode("decode_64k", 64 * 1024),
    ]
}

fn encode(name: &'static str, length: usize) -> Case {
    Case::new(name, move |_| {
        let stored = Stored::sample(8, length)?;
        Run::plain(move || drop(black_box(black_box(&stored).encode())))
    })
}

fn decode(name: &'static str, length: usize) -> Case {
    Case::new(name, move |_| {
        let frame = Stored::sample(8, length)?.encode();
        Stored::decode(frame.clone())?;
        Run::plain(move || {
            let decoded = Stored::decode(black_box(&frame).clone());
            drop(black_box(decoded));
        })
    })
}
