//! One process that tells clients of updates: with this crate, or without it.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;
use tokio::sync::broadcast::Sender;
use tokio::time::{Duration, sleep};
use tower_tagcache::live::LiveSettings;
use tower_tagcache::{Cache, Update};

use crate::bare::{self, Message};
use crate::{now, read, say};

const SUBJECT: &str = "auction:0xa16e02e87b7454126e5e10d957a927a7f5b5d2be";

/// Who tells.
enum Teller {
    Cache(Cache),
    Axum(Sender<Message>),
    Hyper(Sender<Bytes>),
}

/// Serves until standard input ends: each line of it is an update with so many bytes of padding. It says the address, and of
/// each update when it was told.
pub fn run(kind: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let teller = match kind {
            "tagcache" => ours(listener).await,
            "axum" => {
                let (router, sender) = bare::router();
                serve(listener, router);
                Teller::Axum(sender)
            }
            "hyper" => Teller::Hyper(bare::hyper(listener)),
            _ => panic!("there is no server {kind}"),
        };
        say(address);
        let mut lines = BufReader::new(stdin()).lines();
        let mut number = 0;
        while let Some(line) = lines.next_line().await.unwrap() {
            number += 1;
            let told = now();
            tell(&teller, number, &"x".repeat(read(&line))).await;
            say(told);
        }
    });
}

async fn ours(listener: TcpListener) -> Teller {
    let (cache, companion) = Cache::builder().build().unwrap();
    tokio::spawn(companion.run(std::future::pending()));
    while cache.position().is_none() {
        sleep(Duration::from_millis(1)).await;
    }
    let settings = LiveSettings::open().connections(20_000, 20_000);
    serve(listener, cache.live(&settings).unwrap().router());
    Teller::Cache(cache)
}

/// By axum, as this crate's service is too.
fn serve(listener: TcpListener, router: Router) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, service).await.unwrap() });
}

async fn tell(teller: &Teller, number: u64, padding: &str) {
    match teller {
        Teller::Cache(cache) => {
            let update = Update::new("sale", SUBJECT).unwrap();
            let update = update.with_identity(format!("1/0x5f/{number}")).unwrap();
            let update = update.with_field("amount", "1500000000000000000000");
            let update = update.unwrap().with_field("padding", format!("{padding}@"));
            let purger = cache.purger().announcing(update.unwrap());
            purger.tag(SUBJECT).await.unwrap();
        }
        Teller::Axum(sender) => {
            let clients = sender.send(Message::new(number, padding));
            assert!(clients.is_ok(), "somebody listens");
        }
        Teller::Hyper(sender) => {
            let clients = sender.send(Message::new(number, padding).bytes());
            assert!(clients.is_ok(), "somebody listens");
        }
    }
}
