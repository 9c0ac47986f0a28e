//! TLS on both sides, with certificates made for the test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Version};
use http_body_util::Empty;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tagcache::proxy::{ProxySettings, UpstreamProtocol};
use tagcache_test_support::ends;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::client::{VERSIONS, get, read, request, start_over};
use crate::raw_origin::{RawOrigin, ok};
use crate::site::{ProxySite, settings};

/// A certificate for `localhost` that vouches for itself, and its key, in files.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(name: &str) -> Self {
        let made =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path =
            |kind: &str| directory.join(format!("proxy-{name}-{}-{kind}.pem", std::process::id()));
        let files = Self {
            certificate: path("certificate"),
            key: path("key"),
        };
        std::fs::write(&files.certificate, made.cert.pem()).expect("written");
        std::fs::write(&files.key, made.signing_key.serialize_pem()).expect("written");
        files
    }

    fn server(&self, protocols: &[&str]) -> TlsAcceptor {
        let certificate = rustls::pki_types::CertificateDer::from_pem_file(&self.certificate);
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(&self.key);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = config
            .with_no_client_auth()
            .with_single_cert(vec![certificate.expect("read")], key.expect("read"))
            .expect("a good certificate");
        config.alpn_protocols = protocols
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        TlsAcceptor::from(Arc::new(config))
    }

    fn client(&self, protocol: &str) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let certificate = rustls::pki_types::CertificateDer::from_pem_file(&self.certificate);
        roots.add(certificate.expect("read")).expect("added");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config
            .with_safe_default_protocol_versions()
            .expect("versions");
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.certificate);
        let _ = std::fs::remove_file(&self.key);
    }
}

#[tokio::test]
async fn clients_speak_either_version_over_tls() {
    let files = Files::new("server");
    let origin =
        RawOrigin::start(|heard| ok("", heard.field("x-forwarded-proto").unwrap_or_default()))
            .await;
    let mut settings = settings(origin.url());
    settings.listen[0] = settings.listen[0]
        .clone()
        .tls(&files.certificate, &files.key);
    let site = ProxySite::with(settings).await;
    for (version, protocol) in VERSIONS.into_iter().zip(["http/1.1", "h2"]) {
        for _ in 0..2 {
            let tcp = TcpStream::connect(site.address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let stream = files
                .client(protocol)
                .connect(name, tcp)
                .await
                .expect("a handshake");
            assert_eq!(
                stream.get_ref().1.alpn_protocol(),
                Some(protocol.as_bytes())
            );
            let asked = request(site.address, Method::GET, "/a", &[]);
            let mut asked = asked.body(Empty::<Bytes>::new()).unwrap();
            if version == Version::HTTP_2 {
                *asked.uri_mut() = format!("https://{}/a", site.address).parse().unwrap();
            }
            let answer = start_over(stream, version, asked).await.unwrap();
            let answer = read(answer).await.unwrap();
            assert_eq!(
                (answer.status.as_u16(), answer.text()),
                (200, "https"),
                "{version:?}"
            );
        }
    }
    assert_eq!(origin.calls(), 1);
}

#[tokio::test]
async fn a_handshake_that_is_not_completed_is_given_up() {
    let files = Files::new("handshake");
    let origin = RawOrigin::start(|_| ok("", "")).await;
    let mut settings = settings(origin.url());
    settings.listen[0] = settings.listen[0]
        .clone()
        .tls(&files.certificate, &files.key);
    settings.timeouts.client_handshake = std::time::Duration::from_millis(50);
    let site = ProxySite::with(settings).await;
    assert_eq!(
        crate::client::exchange(site.address, "\x16\x03\x01").await,
        b""
    );
    crate::client::exchange(site.address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(origin.calls(), 0);
}

/// A raw HTTP/1.1 server over TLS that sends `bytes` and closes, politely or not.
async fn tls_origin(files: &Files, bytes: &'static str, polite: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = files.server(&["http/1.1"]);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(tcp).await else {
                continue;
            };
            let mut buffer = Vec::new();
            crate::raw_origin::read_message(&mut stream, &mut buffer).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
            let _ = stream.flush().await;
            if polite {
                let _ = stream.shutdown().await;
            }
        }
    });
    address
}

fn secure(files: &Files, address: SocketAddr) -> ProxySettings {
    let mut settings = settings(format!("https://localhost:{}", address.port()));
    settings.upstreams[0].authorities = Some(files.certificate.clone());
    settings
}

#[tokio::test]
async fn an_upstream_is_asked_over_tls_and_has_to_prove_itself() {
    let (files, other) = (Files::new("upstream"), Files::new("other"));
    let bytes = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na page";
    let address = tls_origin(&files, bytes, true).await;
    let site = ProxySite::with(secure(&files, address)).await;
    assert_eq!(
        get(site.address, Version::HTTP_11, "/a").await.text(),
        "a page"
    );
    let site = ProxySite::with(secure(&other, address)).await;
    let answer = get(site.address, Version::HTTP_11, "/a").await;
    assert_eq!(answer.status, 502);
    let status = answer.field("cache-status").unwrap();
    assert!(status.ends_with("upstream-handshake"), "{status}");
}

#[tokio::test]
async fn safety_25_a_body_that_ends_with_its_connection_has_to_end_politely() {
    let files = Files::new("truncated");
    for (polite, kept) in [(true, true), (false, false)] {
        let address = tls_origin(&files, "HTTP/1.1 200 OK\r\n\r\na page", polite).await;
        let site = ProxySite::with(secure(&files, address)).await;
        for time in 0..2 {
            let tcp = TcpStream::connect(site.address).await.unwrap();
            let asked = request(site.address, Method::GET, "/a", &[]);
            let asked = asked.body(Empty::<Bytes>::new()).unwrap();
            let whole = match start_over(tcp, Version::HTTP_11, asked).await {
                Ok(answer) => read(answer).await,
                Err(error) => Err(error),
            };
            match kept {
                true => assert_eq!(whole.unwrap().is_hit(), time == 1),
                false => assert!(whole.is_err(), "{whole:?}"),
            }
        }
    }
}

#[tokio::test]
async fn http2_is_negotiated_with_an_upstream() {
    let files = Files::new("alpn");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = files.server(&["h2", "http/1.1"]);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(stream) = acceptor.accept(tcp).await else {
                continue;
            };
            let service =
                hyper::service::service_fn(
                    |request: http::Request<hyper::body::Incoming>| async move {
                        let text = format!("{:?}", request.version());
                        Ok::<_, std::convert::Infallible>(http::Response::new(
                            http_body_util::Full::<Bytes>::from(text),
                        ))
                    },
                );
            let executor = hyper_util::rt::TokioExecutor::new();
            let server = hyper_util::server::conn::auto::Builder::new(executor);
            let io = hyper_util::rt::TokioIo::new(stream);
            tokio::spawn(async move {
                let _ = server.serve_connection(io, service).await;
            });
        }
    });
    for (protocol, expected) in [
        (UpstreamProtocol::Auto, "HTTP/2.0"),
        (UpstreamProtocol::Http1, "HTTP/1.1"),
        (UpstreamProtocol::Http2, "HTTP/2.0"),
    ] {
        let mut settings = secure(&files, address);
        settings.upstreams[0].protocol = protocol;
        let site = ProxySite::with(settings).await;
        let answer = ends("an answer", get(site.address, Version::HTTP_11, "/a")).await;
        assert_eq!(answer.text(), expected, "{protocol:?}");
    }
}
