//! Redis by TLS, and what is said where that cannot be.

use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use tagcache_test_support::{RedisServer, speaks_tls};

use crate::chance::unique_word;
use crate::error::Error;
use crate::redis::{RedisTls, Server};
use crate::store::Budgets;

/// Certificates in files: of an authority, of a server, and of a client.
struct Files(PathBuf);

impl Files {
    /// The server's are for `name`.
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("tagcache-tls-{}", unique_word()));
        std::fs::create_dir(&dir).unwrap();
        let files = Self(dir);
        files.issue(name);
        files
    }

    /// Writes new ones, of a new authority.
    fn issue(&self, name: &str) {
        let mut ca = CertificateParams::new([]).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name = called(&unique_word());
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        self.write("ca.pem", &ca.pem());
        for (file, name) in [("server", name), ("client", "a client")] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.distinguished_name = called(name);
            let certificate = params.signed_by(&key, &ca).unwrap();
            self.write(&format!("{file}.pem"), &certificate.pem());
            self.write(&format!("{file}.key"), &key.serialize_pem());
        }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Believes their authority.
    fn tls(&self) -> RedisTls {
        RedisTls::new().ca_file(self.path("ca.pem"))
    }

    fn with_client(&self) -> RedisTls {
        let (certificate, key) = (self.path("client.pem"), self.path("client.key"));
        self.tls().client_certificate(certificate, key)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// A server that speaks TLS on a second port.
struct Secured {
    server: RedisServer,
    port: u16,
}

impl Secured {
    fn start(files: &Files, clients: &str) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let (number, path) = (port.to_string(), |name| {
            files.path(name).display().to_string()
        });
        let server = RedisServer::start_with(&[
            "--tls-port",
            &number,
            "--tls-cert-file",
            &path("server.pem"),
            "--tls-key-file",
            &path("server.key"),
            "--tls-ca-cert-file",
            &path("ca.pem"),
            "--tls-auth-clients",
            clients,
        ]);
        Self { server, port }
    }

    fn url(&self, host: &str) -> String {
        format!("rediss://{host}:{}", self.port)
    }
}

/// What a `PING` is answered, or why there is no connection.
async fn ping(url: &str, tls: &RedisTls) -> Result<String, Error> {
    let server = Server::new(url, Budgets::default()).unwrap();
    let server = server.with_tls(tls).unwrap();
    let mut connection = server.connect().await?;
    let answer = ::redis::cmd("PING").query_async(&mut connection.to).await;
    answer.map_err(|error| server.error("verify", error))
}

#[tokio::test]
async fn it_is_spoken_to_by_tls_and_its_certificate_is_verified() {
    if !speaks_tls() {
        return;
    }
    let files = Files::new("localhost");
    let redis = Secured::start(&files, "no");
    let url = redis.url("localhost");
    assert_eq!(ping(&url, &files.tls()).await.unwrap(), "PONG");
    let strangers = Files::new("localhost");
    let by_address = redis.url("127.0.0.1");
    let plain = redis
        .server
        .url()
        .replace("redis://127.0.0.1", "rediss://localhost");
    for (name, url, tls, said) in [
        (
            "another authority",
            &url,
            strangers.tls(),
            "nobody whom this cache believes",
        ),
        (
            "the operating system's",
            &url,
            RedisTls::new(),
            "name its CA as `ca_file`",
        ),
        ("another name", &by_address, files.tls(), "for another name"),
        ("no TLS there", &plain, files.tls(), "does not speak TLS"),
    ] {
        let error = ping(url, &tls).await.unwrap_err();
        assert!(error.to_string().contains(said), "{name}: {error}");
    }
    let named = files.tls().server_name("localhost");
    assert_eq!(ping(&by_address, &named).await.unwrap(), "PONG");
    // Without TLS where it is spoken.
    let plainly = redis.url("localhost").replace("rediss", "redis");
    let error = ping(&plainly, &RedisTls::new()).await.unwrap_err();
    assert!(
        error.to_string().contains("speaks TLS (rediss://)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown_if_one_is_named() {
    if !speaks_tls() {
        return;
    }
    let files = Files::new("localhost");
    let redis = Secured::start(&files, "yes");
    let url = redis.url("localhost");
    let error = ping(&url, &files.tls()).await.unwrap_err();
    assert!(error.to_string().contains("client certificate"), "{error}");
    assert_eq!(ping(&url, &files.with_client()).await.unwrap(), "PONG");
    let strangers = Files::new("localhost");
    let (certificate, key) = (strangers.path("client.pem"), strangers.path("client.key"));
    let foreign = files.tls().client_certificate(certificate, key);
    let error = ping(&url, &foreign).await.unwrap_err();
    assert!(error.to_string().contains("or another one"), "{error}");
}

/// The files are read again for each connection.
#[tokio::test]
async fn certificates_are_renewed_while_it_runs() {
    if !speaks_tls() {
        return;
    }
    let files = Files::new("localhost");
    let redis = Secured::start(&files, "yes");
    let (url, tls) = (redis.url("localhost"), files.with_client());
    let server = Server::new(&url, Budgets::default()).unwrap();
    let server = server.with_tls(&tls).unwrap();
    server.connect().await.unwrap();
    files.issue("localhost");
    let set = Command::new("redis-cli")
        .args(["-p", &redis.server.port().to_string(), "CONFIG", "SET"])
        .args([
            "tls-cert-file".as_ref(),
            files.path("server.pem").as_os_str(),
        ])
        .args([
            "tls-key-file".as_ref(),
            files.path("server.key").as_os_str(),
        ])
        .args([
            "tls-ca-cert-file".as_ref(),
            files.path("ca.pem").as_os_str(),
        ])
        .output()
        .unwrap();
    assert!(
        set.status.success() && set.stdout.starts_with(b"OK"),
        "{set:?}"
    );
    server.connect().await.unwrap();
}

#[test]
fn a_file_that_cannot_be_used_is_a_config_error() {
    let files = Files::new("localhost");
    files.write("empty.pem", "");
    let path = |name: &str| files.path(name);
    let missing = Path::new("/nowhere/ca.pem");
    for (tls, setting, why) in [
        (
            RedisTls::new().ca_file(missing),
            "ca_file",
            "cannot be read",
        ),
        (
            RedisTls::new().ca_file(path("empty.pem")),
            "ca_file",
            "has no certificate",
        ),
        (
            files
                .tls()
                .client_certificate(path("empty.pem"), path("client.key")),
            "certificate_file",
            "has no certificate",
        ),
        (
            files
                .tls()
                .client_certificate(path("client.pem"), path("client.pem")),
            "key_file",
            "has no private key",
        ),
        (
            files
                .tls()
                .client_certificate(path("client.pem"), path("server.key")),
            "key_file",
            "does not fit",
        ),
        (files.tls().server_name("a b"), "server_name", "is no name"),
    ] {
        let server = Server::new("rediss://localhost", Budgets::default()).unwrap();
        let error = server.with_tls(&tls).unwrap_err().to_string();
        assert!(error.contains(setting) && error.contains(why), "{error}");
    }
    let server = Server::new("redis://localhost", Budgets::default()).unwrap();
    let error = server.with_tls(&files.tls()).unwrap_err().to_string();
    assert!(error.contains("rediss://"), "{error}");
}
