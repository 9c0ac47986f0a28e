//! A cache with an admin listener, for one test, and a client.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tagcache::admin::{Admin, AdminHooks, AdminSettings, AdminToken, Telemetry};
use tagcache_test_support::{Node, Notices, Origin, ok};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_tagcache::{Cache, CacheBuilder, Rule};

pub(crate) const TOKEN: &str = "correct-horse-battery";

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// On a free port, purging from this machine allowed.
pub(crate) fn open() -> AdminSettings {
    let mut settings = AdminSettings::default();
    settings.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    settings.purge_from_loopback = true;
    settings
}

/// On a free port, by defaults.
pub(crate) fn closed() -> AdminSettings {
    let mut settings = open();
    settings.purge_from_loopback = false;
    settings
}

pub(crate) fn with_token() -> AdminSettings {
    let mut settings = closed();
    settings.token = Some(AdminToken::new(TOKEN).expect("a good token"));
    settings
}

/// Auctions, by tag, and their list.
pub(crate) fn rules() -> CacheBuilder {
    let minute = Duration::from_secs(60);
    let auction = Rule::new("auction", "/auctions/{id}")
        .ttl(minute)
        .tag("auction:{id}");
    Cache::builder()
        .rule(auction)
        .rule(Rule::new("list", "/auctions").ttl(minute).tag("auctions"))
}

/// A running admin listener and the cache that it administers, a `Node` of `tests/support`. Both end with the test.
///
/// It is no `Site` of `tests/support`: what it is asked goes to the listener, over a socket, and the cached service is
/// asked only to see what a purge did.
pub(crate) struct AdminSite {
    pub(crate) admin: SocketAddr,
    pub(crate) cache: Cache,
    node: Node,
    origin: Origin,
}

impl AdminSite {
    pub(crate) async fn with(settings: AdminSettings) -> Self {
        Self::start(settings, rules(), |hooks| hooks).await
    }

    pub(crate) async fn start(
        settings: AdminSettings,
        rules: CacheBuilder,
        hooks: impl FnOnce(AdminHooks) -> AdminHooks,
    ) -> Self {
        let telemetry = Telemetry::new();
        let builder = rules.observer(telemetry.clone());
        let (cache, companion) = builder.build().expect("good rules");
        let origin = Origin::answering(|_| ok(&[], "data"));
        let node = Node::new(cache.clone(), Notices::new(), origin.clone()).accompany(companion);
        let hooks = hooks(AdminHooks::new(telemetry));
        let bound = Admin::new(settings, cache.clone(), hooks).bind().await;
        let bound = bound.expect("a port");
        let admin = bound.local_address();
        tokio::spawn(bound.run(std::future::pending()));
        Self {
            admin,
            cache,
            node,
            origin,
        }
    }

    /// Asks the cached service; whether it had to be asked itself.
    pub(crate) async fn forwards(&self, path: &str) -> bool {
        let before = self.origin.calls();
        self.node.get(path).await;
        self.origin.calls() > before
    }

    /// Has the cache hold `paths`.
    pub(crate) async fn filled(&self, paths: &[&str]) {
        for path in paths {
            while self.forwards(path).await {}
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Told {
        self.call("GET", path, &[], "").await
    }

    pub(crate) async fn purge(&self, body: &str) -> Told {
        self.call("POST", "/purge", &[], body).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: &str,
    ) -> Told {
        call(self.admin, method, path, fields, body).await
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Told {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        Self {
            status: status.expect("a status"),
            head: head.to_ascii_lowercase(),
            text: body.to_owned(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("JSON")
    }
}

/// One request on a connection of its own. `curl` sends `Accept: */*`; so does this.
pub(crate) async fn call(
    address: SocketAddr,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Told {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    let own = [
        ("host", address.to_string()),
        ("accept", "*/*".to_owned()),
        ("content-length", body.len().to_string()),
        ("connection", "close".to_owned()),
    ];
    for (name, value) in own {
        if !fields.iter().any(|(given, _)| *given == name) {
            request += &format!("{name}: {value}\r\n");
        }
    }
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    request = request + "\r\n" + body;
    Told::parse(&send(address, request.as_bytes()).await)
}

/// Sends `bytes`; all that comes until the other side closes.
pub(crate) async fn send(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        // Who is refused early may find the connection closed; what was said counts.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    timeout(PATIENCE, exchange)
        .await
        .expect("an answer in time")
}
