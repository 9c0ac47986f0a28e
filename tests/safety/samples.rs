//! Responses that are odd in one way each.

use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::BodyExt;
use tagcache_test_support::{Body, body};

/// One response as an inner service might make it.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    status: u16,
    fields: &'static [(&'static str, &'static [u8])],
    body: &'static [u8],
    trailers: &'static [(&'static str, &'static [u8])],
}

const PLAIN: Sample = Sample {
    name: "plain",
    status: 200,
    fields: &[],
    body: b"a page",
    trailers: &[],
};

pub(crate) const SAMPLES: &[Sample] = &[
    PLAIN,
    Sample {
        name: "repeated fields in order",
        fields: &[
            ("link", b"<a>; rel=next"),
            ("x-b", b"1"),
            ("link", b"<b>; rel=\"x, y\""),
            ("warning", b"110 - \"a\""),
            ("link", b"<a>; rel=next"),
            ("x-b", b"0"),
        ],
        ..PLAIN
    },
    Sample {
        name: "odd values",
        fields: &[
            ("x-empty", b""),
            ("x-tab", b"a\tb"),
            ("x-spaces", b"a    b"),
            ("x-list", b", ,a,,b, "),
            ("x-quotes", b"\"\\\"\""),
            ("x-obs-text", b"caf\xe9 \x80\xff"),
            ("x-utf-8", "caf\u{e9}".as_bytes()),
            ("x-long", &[b'y'; 4000]),
            ("etag", b"\"caf\xe9\""),
        ],
        ..PLAIN
    },
    Sample {
        name: "fields that caches read",
        fields: &[
            ("cache-control", b"max-age=60,x=\"a, b\" ,,Public"),
            ("expires", b"Mon, 23 Nov 2026 00:01:00 GMT"),
            ("date", b"Mon, 23 Nov 2026 00:00:00 GMT"),
            ("last-modified", b"Sunday, 22-Nov-26 00:00:00 GMT"),
            ("pragma", b"x"),
            ("vary", b"Accept-Language ,Accept"),
            ("content-type", b"text/plain;  charset=UTF-8"),
            ("content-language", b"de, en"),
            ("content-disposition", b"inline; filename*=UTF-8''%e2%82%ac"),
            ("content-location", b"/other"),
            ("accept-ranges", b"none"),
            ("server-timing", b"db;dur=1.5"),
            ("strict-transport-security", b"max-age=1"),
        ],
        ..PLAIN
    },
    Sample {
        name: "a declared length",
        fields: &[("content-length", b"6")],
        ..PLAIN
    },
    Sample {
        name: "an empty body",
        body: b"",
        ..PLAIN
    },
    Sample {
        name: "an empty body, declared",
        fields: &[("content-length", b"0")],
        body: b"",
        ..PLAIN
    },
    Sample {
        name: "bytes",
        body: b"\x00\xff\r\n\r\n0\r\n\r\n",
        ..PLAIN
    },
    Sample {
        name: "an encoded body",
        fields: &[("content-encoding", b"gzip"), ("vary", b"accept-encoding")],
        body: b"\x1f\x8b\x08",
        ..PLAIN
    },
    Sample {
        name: "trailers",
        fields: &[("trailer", b"grpc-status, x-sum")],
        trailers: &[
            ("grpc-status", b"0"),
            ("x-sum", b"caf\xe9"),
            ("x-sum", b"2"),
        ],
        ..PLAIN
    },
    Sample {
        name: "trailers alone",
        body: b"",
        trailers: &[("grpc-status", b"0")],
        ..PLAIN
    },
];

fn headers(fields: &[(&'static str, &'static [u8])]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| {
        let value = HeaderValue::from_bytes(value).expect("a value");
        (HeaderName::from_static(name), value)
    });
    let mut all = HeaderMap::new();
    for (name, value) in fields {
        all.append(name, value);
    }
    all
}

pub(crate) fn made(sample: &'static Sample) -> Response<Body> {
    let body = if sample.trailers.is_empty() {
        body(sample.body)
    } else {
        let trailers = headers(sample.trailers);
        let with = body(sample.body).with_trailers(std::future::ready(Some(Ok(trailers))));
        with.boxed_unsync()
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(sample.status).expect("a status");
    *response.headers_mut() = headers(sample.fields);
    response
}
