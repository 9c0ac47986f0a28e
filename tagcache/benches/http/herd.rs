//! Many requests for one path that is not stored, at the same moment, each on a connection of its own.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tower_tagcache::BoxError;

/// Prints the milliseconds of each, one a line. Each round is for another path.
pub(crate) async fn run(
    address: SocketAddr,
    requests: usize,
    rounds: usize,
) -> Result<(), BoxError> {
    let mut connections = Vec::new();
    for _ in 0..requests {
        connections.push(connect(address).await?);
    }
    for round in 0..rounds {
        let start = Instant::now();
        let mut asking = JoinSet::new();
        for mut connection in connections.drain(..) {
            let request = Request::get(format!("/bench/{round}"))
                .header("host", "bench")
                .body(Empty::<Bytes>::new())?;
            asking.spawn(async move {
                connection.ready().await?;
                let response = connection.send_request(request).await?;
                assert!(response.status().is_success(), "{response:?}");
                response.into_body().collect().await?;
                Ok::<_, hyper::Error>((connection, start.elapsed()))
            });
        }
        for asked in asking.join_all().await {
            let (connection, took) = asked?;
            println!("{}", took.as_secs_f64() * 1e3);
            connections.push(connection);
        }
    }
    Ok(())
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Empty<Bytes>>, BoxError> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(tcp)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
