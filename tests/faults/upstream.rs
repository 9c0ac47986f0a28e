//! The origin, which answers with what the ledger has, and one that lies.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use tagcache_test_support::{Served, serve};

use crate::ledger::Ledger;
use crate::raw_origin::{RawOrigin, Reply, reply};

/// The page that a path names last: `/near/7`, `/strict/7`.
fn page_of(path: &str) -> Option<usize> {
    path.rsplit('/').next()?.parse().ok()
}

/// Answers at once, and keeps its connections.
pub(crate) async fn origin(ledger: &Arc<Ledger>) -> Served {
    let ledger = Arc::clone(ledger);
    let answer = move |request: Request<Incoming>| {
        let text = page_of(request.uri().path()).and_then(|page| ledger.text(page));
        let mut response = Response::new(Full::new(Bytes::default()));
        match text {
            Some(text) => *response.body_mut() = Full::new(text.into()),
            None => *response.status_mut() = StatusCode::NOT_FOUND,
        }
        async { Ok::<_, Infallible>(response) }
    };
    serve(tower::service_fn(answer)).await
}

/// Lies about lengths, sends garbage, cuts its answers, and puts an answer that nobody asked for behind a good one.
pub(crate) async fn liar(ledger: &Arc<Ledger>) -> RawOrigin {
    let ledger = Arc::clone(ledger);
    let turn = AtomicUsize::new(0);
    RawOrigin::start(move |heard| {
        let text = page_of(heard.path()).and_then(|page| ledger.text(page));
        let text = text.unwrap_or_default();
        let (length, half) = (text.len(), &text[..text.len() / 2]);
        let poison = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison";
        match turn.fetch_add(1, Ordering::SeqCst) % 8 {
            0 => last(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{half}"
            )),
            1 => last(format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n",
                half.len()
            )),
            2 => reply(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}{poison}"
            )),
            3 => last("nonsense\r\n\r\n".to_owned()),
            4 => Reply::Reset(Bytes::from(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{half}"
            ))),
            5 => reply(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ncontent-length: 6\r\n\r\n{text}"
            )),
            6 => reply(format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n\
                 6\r\npoison\r\n0\r\n\r\n"
            )),
            _ => Reply::Reset(Bytes::default()),
        }
    })
    .await
}

fn last(bytes: String) -> Reply {
    Reply::Last(bytes.into())
}
