use std::net::IpAddr;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::outgoing::receiver::{Answers, Receiver};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
/// Nothing waits as long where nothing is wrong.
const LONG: Duration = Duration::from_secs(20);

fn settings() -> OutgoingSettings {
    let settings = OutgoingSettings::default().allow_plain(true);
    settings.connect_timeout(LONG).timeout(LONG)
}

fn local() -> OutgoingClient {
    OutgoingClient::new(&settings().networks(["127.0.0.1"])).unwrap()
}

async fn post(client: &OutgoingClient, url: &str) -> Result<(), DeliveryFailure> {
    let webhook = WebhookSettings::new("ops", url).secret(SECRET);
    let webhook = client.webhook(&webhook).unwrap();
    client
        .post_webhook(&webhook, "7-12.0", "outbid", "{}")
        .await
}

fn permanent(posted: Result<(), DeliveryFailure>) -> String {
    match posted {
        Err(DeliveryFailure::Permanent(reason) | DeliveryFailure::Refused(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

fn retry(posted: Result<(), DeliveryFailure>) -> String {
    match posted {
        Err(DeliveryFailure::Retry { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_alert_arrives_signed() {
    let receiver = Receiver::plain(OK).await;
    post(&local(), &receiver.url()).await.unwrap();
    let received = receiver.received();
    let [request] = &received[..] else {
        panic!("{received:?}")
    };
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n");
    assert_eq!(lines.next(), Some("POST /hook?a=b HTTP/1.1"));
    let fields: std::collections::BTreeMap<_, _> =
        lines.map(|line| line.split_once(": ").unwrap()).collect();
    assert_eq!(fields["host"], receiver.at.to_string());
    assert_eq!(fields["content-length"], "2");
    assert_eq!(
        fields["user-agent"],
        concat!("tagcache/", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(fields["idempotency-key"], "7-12.0");
    assert_eq!(fields["tagcache-alert"], "outbid");
    let (now, tolerance) = (SystemClock::new().now(), Duration::from_secs(60));
    let field = fields["tagcache-signature"];
    crate::outgoing::verify_webhook(SECRET, field, body.as_bytes(), now, tolerance).unwrap();
}

#[tokio::test]
async fn each_status_is_delivered_or_permanent_or_tried_again() {
    let client = local();
    for status in [200, 201, 202, 204, 299] {
        let receiver = Receiver::plain(format!("HTTP/1.1 {status} x\r\n\r\n")).await;
        post(&client, &receiver.url()).await.unwrap();
    }
    for status in [
        101, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 410, 413, 499,
    ] {
        let location = "Location: /elsewhere\r\nRetry-After: 1";
        let receiver = Receiver::plain(format!("HTTP/1.1 {status} x\r\n{location}\r\n\r\n")).await;
        let reason = permanent(post(&client, &receiver.url()).await);
        assert!(reason.contains(&status.to_string()), "{reason}");
        assert_eq!(receiver.received().len(), 1, "{status} was followed");
    }
    for status in [408, 425, 429, 500, 502, 503, 504, 599] {
        let answer = format!("HTTP/1.1 {status} x\r\nRetry-After: 30\r\n\r\n");
        let receiver = Receiver::plain(answer).await;
        let expected = DeliveryFailure::Retry {
            reason: format!("was answered {status}"),
            after: Some(Duration::from_secs(30)),
        };
        assert_eq!(post(&client, &receiver.url()).await, Err(expected));
    }
}

#[tokio::test]
async fn a_name_that_has_a_private_address_is_not_connected_to() {
    let receiver = Receiver::plain(OK).await;
    let url = format!("http://hooks.example.org:{}/", receiver.at.port());
    for address in [
        "127.0.0.1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
    ] {
        let client = OutgoingClient::new(&settings()).unwrap();
        let client = client.with_resolver(Answers::new([&[address]]));
        let reason = permanent(post(&client, &url).await);
        assert!(reason.contains("an address that is"), "{reason}");
    }
    assert_eq!(receiver.received().len(), 0);
}

#[tokio::test]
async fn a_name_is_looked_up_once_and_its_checked_address_connected_to() {
    let allowed = Receiver::plain(OK).await;
    let port = allowed.at.port();
    let refused = Receiver::at(&format!("127.0.0.2:{port}"), OK, None).await;
    let answers = Answers::new([&["127.0.0.1"], &["127.0.0.2"]]);
    let client = local().with_resolver(answers.clone());
    let url = format!("http://hooks.example.org:{port}/");
    post(&client, &url).await.unwrap();
    assert_eq!(answers.asked(), 1);
    assert!(allowed.received()[0].contains(&format!("host: hooks.example.org:{port}\r\n")));
    // Now the name is somebody else's.
    permanent(post(&client, &url).await);
    assert_eq!((allowed.received().len(), refused.received().len()), (1, 0));
}

#[tokio::test]
async fn of_a_names_addresses_those_that_are_refused_are_left_out() {
    let allowed = Receiver::plain(OK).await;
    let port = allowed.at.port();
    let refused = Receiver::at(&format!("127.0.0.2:{port}"), OK, None).await;
    let client = local().with_resolver(Answers::new([&["127.0.0.2", "127.0.0.1", "10.0.0.1"]]));
    post(&client, &format!("http://hooks.example.org:{port}/"))
        .await
        .unwrap();
    assert_eq!((allowed.received().len(), refused.received().len()), (1, 0));
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses_but_not_a_fifth() {
    let receiver = Receiver::plain(OK).await;
    let url = format!("http://hooks.example.org:{}/", receiver.at.port());
    let client = OutgoingClient::new(&settings().networks(["127.0.0.0/8"])).unwrap();
    let nobody = ["127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"];
    let fourth = [nobody[0], nobody[1], nobody[2], "127.0.0.1"];
    let fifth = [nobody[0], nobody[1], nobody[2], nobody[3], "127.0.0.1"];
    let client = client.with_resolver(Answers::new([&fourth, &fifth, &[]]));
    post(&client, &url).await.unwrap();
    assert!(retry(post(&client, &url).await).contains("could not connect"));
    assert!(retry(post(&client, &url).await).contains("no address"));
    assert!(retry(post(&client, &url).await).contains("no such host"));
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up() {
    let silent = Receiver::plain("").await;
    let posted = post(&local(), &silent.url()).await;
    assert_eq!(retry(posted), "was not answered in time");
    assert_eq!(silent.received().len(), 1);
}

#[tokio::test]
async fn a_server_that_takes_no_handshake_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let time = LONG / 4;
    let settings = settings().networks(["127.0.0.1"]).connect_timeout(time);
    let client = OutgoingClient::new(&settings).unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        let begun = Instant::now();
        // Until the client gives up, which is at once: nothing else goes on.
        tokio::time::pause();
        while stream
            .read_buf(&mut Vec::new())
            .await
            .is_ok_and(|read| read > 0)
        {}
        begun.elapsed()
    };
    let (posted, taken) = tokio::join!(post(&client, &url), server);
    assert_eq!(retry(posted), "could not connect in time");
    assert!(taken < LONG, "{taken:?}");
}

#[tokio::test]
async fn a_lookup_that_does_not_end_is_given_up() {
    #[derive(Debug)]
    struct Silent;
    impl Resolver for Silent {
        fn addresses<'a>(&'a self, _: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
            Box::pin(std::future::pending())
        }
    }
    let client = local().with_resolver(Arc::new(Silent));
    tokio::time::pause();
    let posted = post(&client, "https://hooks.example.org/").await;
    assert_eq!(retry(posted), "could not connect in time");
}

#[tokio::test]
async fn a_webhook_has_a_time_of_its_own() {
    let silent = Receiver::plain("").await;
    let time = LONG / 2;
    let webhook = WebhookSettings::new("ops", silent.url()).secret(SECRET);
    let webhook = local().webhook(&webhook.timeout(time)).unwrap();
    let begun = Instant::now();
    let posted = local().post_webhook(&webhook, "1", "rule", "{}").await;
    assert_eq!(retry(posted), "was not answered in time");
    assert!((time..LONG).contains(&begun.elapsed()));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let halfway = Receiver::plain("HTTP/1.1 200 OK\r\nA: ").await;
    assert!(retry(post(&local(), &halfway.url()).await).contains("was not answered"));
}

#[tokio::test]
async fn an_answer_counts_by_its_head_and_its_size_is_bounded() {
    let client = local();
    let body = "x".repeat(4 * LARGEST_BODY);
    for head in [
        "Content-Length: 9999999999",
        "Content-Length: 262144",
        "Connection: close",
    ] {
        let receiver = Receiver::plain(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}")).await;
        post(&client, &receiver.url()).await.unwrap();
    }
    let long = format!(
        "HTTP/1.1 200 OK\r\nA: {}\r\n\r\n",
        "x".repeat(2 * LARGEST_HEAD)
    );
    let many = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "A: x\r\n".repeat(MOST_FIELDS + 1)
    );
    for answer in [
        long,
        many,
        "SSH-2.0-OpenSSH_9.2\r\n".to_owned(),
        "\r\n".to_owned(),
    ] {
        let receiver = Receiver::plain(answer).await;
        assert!(retry(post(&client, &receiver.url()).await).contains("was not answered"));
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let receiver = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
            .await
            .unwrap();
        // Until the client has gone, which is as soon as its time for the body is over.
        tokio::time::pause();
        let begun = Instant::now();
        while stream
            .read_buf(&mut Vec::new())
            .await
            .is_ok_and(|read| read > 0)
        {}
        begun.elapsed()
    };
    let (posted, taken) = tokio::join!(async { post(&local(), &url).await }, receiver);
    posted.unwrap();
    assert!(taken < LONG / 2, "{taken:?}");
}

#[tokio::test]
async fn no_more_of_a_body_is_read_than_its_bound() {
    let mut polled = 0;
    let frames = std::iter::repeat_with(|| {
        polled += 1;
        Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::from(vec![
            0;
            LARGEST_BODY / 4
        ])))
    });
    read(http_body_util::StreamBody::new(futures_util::stream::iter(
        frames,
    )))
    .await;
    assert_eq!(polled, 4);
}

/// A certificate for `name`, with what serves it.
fn certificate(name: &str) -> (String, TlsAcceptor) {
    let own = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    (own.cert.pem(), TlsAcceptor::from(Arc::new(config)))
}

#[tokio::test]
async fn a_certificate_must_be_for_the_host_and_by_somebody_who_is_trusted() {
    let (pem, acceptor) = certificate("hooks.example.org");
    let (pem_of_address, acceptor_of_address) = certificate("127.0.0.1");
    let receiver = Receiver::at("127.0.0.1:0", OK, Some(acceptor)).await;
    let by_address = Receiver::at("127.0.0.1:0", OK, Some(acceptor_of_address)).await;
    let both = format!("{pem}{pem_of_address}");
    let client = |pem: &str| {
        let settings = settings().networks(["127.0.0.1"]).root_certificates(pem);
        let client = OutgoingClient::new(&settings).unwrap();
        client.with_resolver(Answers::new([&["127.0.0.1"], &["127.0.0.1"]]))
    };
    let port = receiver.at.port();
    post(
        &client(&both),
        &format!("https://hooks.example.org:{port}/"),
    )
    .await
    .unwrap();
    post(&client(&both), &format!("https://{}/", by_address.at))
        .await
        .unwrap();
    for (url, trusted) in [
        (format!("https://other.example.org:{port}/"), &both),
        (format!("https://127.0.0.1:{port}/"), &both),
        (
            format!("https://hooks.example.org:{}/", by_address.at.port()),
            &both,
        ),
        (
            format!("https://hooks.example.org:{port}/"),
            &pem_of_address,
        ),
    ] {
        let reason = retry(post(&client(trusted), &url).await);
        assert!(
            reason.starts_with("TLS failed: invalid peer certificate"),
            "{url}: {reason}"
        );
    }
    // No request went to whom it was not for.
    let requests = |receiver: &Receiver| {
        let received = receiver.received();
        received
            .iter()
            .filter(|text| text.starts_with("POST"))
            .count()
    };
    assert_eq!((requests(&receiver), requests(&by_address)), (1, 1));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let zero = OutgoingSettings::default().timeout(Duration::ZERO);
    let no_certificate = OutgoingSettings::default().root_certificates("none");
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let damaged = OutgoingSettings::default().root_certificates(damaged);
    let no_file = OutgoingSettings {
        root_certificates_file: Some("/no/such/file".into()),
        ..OutgoingSettings::default()
    };
    for (settings, says) in [
        (zero, "timeout: not above zero"),
        (no_certificate, "root_certificates: has no certificate"),
        (
            damaged,
            "root_certificates: has a certificate that cannot be read",
        ),
        (no_file, "root_certificates_file: cannot be read"),
    ] {
        let error = OutgoingClient::new(&settings).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}
