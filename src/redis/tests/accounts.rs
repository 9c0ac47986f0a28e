//! As whom servers and Sentinels are spoken to (SAFETY 141, 143).

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::Value;
use tagcache_test_support::{Logged, RedisServer};
use tokio::time::sleep;

use super::PATIENT;
use crate::chance::unique_word;
use crate::error::ErrorKind;
use crate::redis::{CredentialSource, EntryId, Group, RedisCredentials, RedisLogin, Server};
use crate::store::Budgets;

struct SecretFile(PathBuf);

impl SecretFile {
    fn new(text: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("tagcache-secret-{}", unique_word())));
        file.write(text);
        file
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    fn login(&self) -> RedisLogin {
        RedisLogin::new().password_file(&self.0)
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn server_of(url: &str, login: RedisLogin) -> Server {
    let server = Server::new(url, PATIENT).unwrap();
    let source = CredentialSource::Login(login);
    server.with_credentials(source, &RedisLogin::new()).unwrap()
}

/// A field of `CLIENT INFO`.
async fn said(connection: &mut ::redis::aio::MultiplexedConnection, field: &str) -> String {
    let mut ask = ::redis::cmd("CLIENT");
    let info: String = ask.arg("INFO").query_async(connection).await.unwrap();
    let fields = info
        .split_whitespace()
        .filter_map(|one| one.split_once('='));
    let mut found = fields.filter(|(name, _)| *name == field);
    found.next().unwrap().1.to_owned()
}

/// The file is looked at until two looks agree, and what is open authenticates.
async fn keep_up(server: &Server) {
    for _ in 0..2 {
        let account = server.account();
        account.keep_up(server.user_of_url()).await;
    }
}

#[tokio::test]
async fn safety_141_a_refused_password_is_told_once_and_never_shown() {
    let logged = Logged::begin();
    let redis = RedisServer::start();
    redis.run("ACL SETUSER cache on >hunter1 ~* +@all").await;
    let (file, url) = (SecretFile::new("hunter1\n"), redis.url());
    let at = url.replace("redis://", "redis://cache@");
    let server = server_of(&at, file.login());
    let mut open = server.connect().await.unwrap();
    file.write("hunter2");
    keep_up(&server).await;
    let trouble = server.account().trouble().expect("it is refused");
    assert!(
        trouble.message.contains("refuses the new ones"),
        "{trouble:?}"
    );
    let mut told = Vec::new();
    while told.is_empty() {
        told.extend(server.account().news());
        sleep(Duration::from_millis(20)).await;
    }
    keep_up(&server).await;
    assert!(server.account().news().is_none(), "once");
    // It is not tried again at once: the server's log of refusals stays short.
    let refused = redis.command(&["ACL", "LOG"]).await;
    assert!(
        matches!(&refused, Value::Array(all) if all.len() == 1),
        "{refused:?}"
    );
    // The old one goes on, and a new connection has it too.
    assert_eq!(said(&mut open.to, "user").await, "cache");
    let mut other = server.connect().await.unwrap();
    assert_eq!(said(&mut other.to, "user").await, "cache");
    redis.run("ACL SETUSER cache >hunter2 <hunter1").await;
    server.connect().await.unwrap();
    assert!(server.account().trouble().is_none(), "it is let in");
    let shown = format!(
        "{server:?} {:?} {trouble:?} {told:?} {}",
        file.login(),
        logged.text()
    );
    let shown = format!("{shown} {:?}", RedisCredentials::password("hunter1"));
    assert!(!shown.contains("hunter"), "{shown}");
}

/// By TCP and by a Unix socket; what a connection is in stays as it is when it authenticates again.
#[tokio::test]
async fn protocol_and_database_outlast_a_new_password() {
    let socket = std::env::temp_dir().join(format!("tagcache-{}.sock", unique_word()));
    let redis = RedisServer::start_with(&["--unixsocket", &socket.display().to_string()]);
    redis.run("ACL SETUSER cache on >one ~* +@all").await;
    let tcp = redis.url().replace("redis://", "redis://cache@");
    let unix = format!("redis+unix://{}?user=cache&db=3", socket.display());
    for (url, resp) in [
        (format!("{tcp}/3"), "2"),
        (format!("{tcp}/3?protocol=resp3"), "3"),
        (unix.clone(), "2"),
        (format!("{unix}&protocol=resp3"), "3"),
    ] {
        redis.run("ACL SETUSER cache resetpass >one").await;
        let file = SecretFile::new("one");
        let server = server_of(&url, file.login());
        let mut open = server.connect().await.unwrap();
        let before = said(&mut open.to, "id").await;
        redis.run("ACL SETUSER cache >two").await;
        file.write("two");
        keep_up(&server).await;
        assert!(server.account().trouble().is_none(), "{url}");
        for (field, value) in [
            ("id", &*before),
            ("user", "cache"),
            ("resp", resp),
            ("db", "3"),
        ] {
            assert_eq!(said(&mut open.to, field).await, value, "{url}: {field}");
        }
        // It is by the new one that it is open: the old one is of no use to a new connection.
        redis.run("ACL SETUSER cache <one").await;
        let mut other = server.connect().await.unwrap();
        assert_eq!(said(&mut other.to, "resp").await, resp, "{url}");
    }
}

#[tokio::test]
async fn tokens_are_asked_for_once_and_again_when_they_are_refused() {
    let redis = RedisServer::start();
    redis.run("ACL SETUSER cache on >token-0 ~* +@all").await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let ask = move || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        let said = match number {
            1 => Err("the provider is away".into()),
            _ => Ok(RedisCredentials::new(
                "cache",
                format!("token-{}", number.min(2)),
            )),
        };
        Box::pin(std::future::ready(said)) as _
    };
    let server = Server::new(&redis.url(), PATIENT).unwrap();
    let source = CredentialSource::Asked(Arc::new(ask));
    let server = server.with_credentials(source, &RedisLogin::new()).unwrap();
    for _ in 0..3 {
        server.connect().await.unwrap();
    }
    let times = || asked.load(Ordering::SeqCst);
    assert_eq!(times(), 1);
    redis.run("ACL SETUSER cache >token-2 <token-0").await;
    // Refused, and the provider fails: then it is asked again.
    while server.connect().await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(times(), 3);
    assert!(server.account().trouble().is_none());
}

#[test]
fn what_cannot_be_meant_is_a_config_error() {
    let file = SecretFile::new("");
    let password = RedisLogin::new().password("hunter2");
    let none = RedisLogin::new();
    let sentinels = "redis+sentinel://localhost/house";
    for (url, login, sentinel, setting, why) in [
        (
            "redis://u:hunter2@h",
            &password,
            &none,
            "redis url",
            "leave one of them out",
        ),
        (
            "redis://h",
            &file.login(),
            &none,
            "password_file",
            "is empty",
        ),
        (
            "redis://h",
            &RedisLogin::new().password_file("/nowhere/x"),
            &none,
            "password_file",
            "cannot be read",
        ),
        (
            "redis://h",
            &RedisLogin::new().username("u"),
            &none,
            "password_file",
            "is needed",
        ),
        (
            "redis://h",
            &none,
            &password,
            "sentinel",
            "for Sentinels, which the URL does not name",
        ),
        (sentinels, &none, &file.login(), "password_file", "is empty"),
    ] {
        let server = Server::new(url, Budgets::default()).unwrap();
        let source = match *login == none {
            true => CredentialSource::Url,
            false => CredentialSource::Login(login.clone()),
        };
        let error = server.with_credentials(source, sentinel).unwrap_err();
        let shown = format!("{error:#}");
        assert!(
            shown.contains(setting) && shown.contains(why),
            "{url}: {shown}"
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let young = Server::new("redis://h", Budgets::default()).unwrap();
    let error = young
        .with_longest_age(Duration::from_millis(999))
        .unwrap_err();
    assert!(error.to_string().contains("max_connection_age"), "{error}");
}

/// What waits at a master that says nothing any more is told of the switch, and goes elsewhere.
#[tokio::test]
async fn safety_143_what_waits_for_events_leaves_the_old_master_at_a_switch() {
    let redis = RedisServer::start();
    let server = Server::new(&redis.url(), PATIENT).unwrap();
    let group = Group::new(server.clone(), "test", "group", "orders", "me", 1);
    group.create(true).await.unwrap();
    redis.suspend();
    let hour = Duration::from_secs(3_600);
    let waits = group.wait(EntryId::default(), hour);
    let ids = [EntryId::default()];
    let asks = group.acknowledge(&ids);
    let switch = async {
        sleep(Duration::from_millis(50)).await;
        server.switched();
    };
    let (waited, asked, ()) = tokio::join!(waits, asks, switch);
    for error in [waited.unwrap_err(), asked.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("is the master now"), "{error}");
    }
    redis.resume();
    group.acknowledge(&ids).await.unwrap();
}
