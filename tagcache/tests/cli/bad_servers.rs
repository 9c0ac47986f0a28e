//! Servers that the cache cannot use: each is told in one sentence, with what to do, at start, in `check --connect`, in `doctor`,
//! in `/readyz`, and in the log once (SAFETY 136).

use std::any::Any;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tagcache_test_support::RedisServer;

use super::certificates::Certificates;
use super::program::{Directory, PATIENCE, Upstream, get};

const SECRET: &str = "hunter2hunter2hunter2";

/// A server, and how it is named in a configuration.
struct Bad {
    name: &'static str,
    /// What runs, until it is dropped.
    runs: Box<dyn Any + Send>,
    url: String,
    /// More of `[redis]`.
    more: String,
    /// What is wrong, and what to do about it.
    said: [&'static str; 2],
}

impl Bad {
    fn new(
        name: &'static str,
        runs: impl Any + Send,
        url: String,
        said: [&'static str; 2],
    ) -> Self {
        Self {
            name,
            runs: Box::new(runs),
            url,
            more: String::new(),
            said,
        }
    }

    fn with(mut self, more: String) -> Self {
        self.more = more;
        self
    }
}

/// Whether `text` says all of it, in any letter case.
fn says(text: &str, said: [&str; 2]) -> bool {
    // As people read it, also where it stands in JSON.
    let text = text.replace("\\\"", "\"").to_lowercase();
    said.iter().all(|what| text.contains(&what.to_lowercase()))
}

fn told_everywhere(bad: &Bad) {
    let Bad { name, said, .. } = bad;
    let upstream = Upstream::start();
    let directory = Directory::new();
    directory.configure(&format!(
        "[redis]\nurl = \"{}\"\n{}\n[proxy]\nupstreams = [\"{}\"]\n[admin]\nlisten = \"127.0.0.1:0\"\ntoken = \"{SECRET}\"\n\
         [[rules]]\nname = \"all\"\nroute = \"/{{*rest}}\"\nttl = \"1m\"\n",
        bad.url, bad.more, upstream.url
    ));
    let checked = directory.run(&["check", "--connect"]);
    assert_eq!(checked.status, 1, "{name}: {checked:?}");
    assert!(says(&checked.err, *said), "{name}, check: {checked:#?}");
    let examined = directory.run(&["doctor", "--json"]);
    assert_eq!(examined.status, 2, "{name}: {examined:?}");
    assert!(says(&examined.out, *said), "{name}, doctor: {examined:#?}");
    let mut proxy = directory.proxy(&[]);
    let line = proxy.log.find("admin listener");
    let (_, address) = line.split_once("address=").expect("an address");
    let admin: SocketAddr = address.trim().parse().expect("an address");
    let lasts = Duration::from_secs(2);
    let ready = once(&format!("{name}: /readyz tells for a while"), || {
        let answer = get(admin, "/readyz");
        let told: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        let reasons = told["reasons"].to_string();
        let mut troubles = told["redis"]["troubles"].as_array()?.iter();
        let has_lasted = troubles.any(|one| one["seconds"].as_f64() >= Some(lasts.as_secs_f64()));
        (has_lasted && says(&reasons, *said)).then_some(told)
    });
    assert_eq!(
        ready["ready"], true,
        "{name}: the site is served without it: {ready:#}"
    );
    assert!(proxy.get("/a").starts_with("HTTP/1.1 200 "), "{name}");
    proxy.signal("TERM");
    proxy.log.wait("ended");
    assert_eq!(proxy.ended(), Some(0));
    let told = proxy.log.lines();
    let of_it: Vec<_> = told.iter().filter(|line| says(line, *said)).collect();
    assert_eq!(of_it.len(), 1, "{name}, the log: {told:#?}");
    let all = [
        checked.out,
        checked.err,
        examined.out,
        examined.err,
        ready.to_string(),
        told.concat(),
    ];
    for text in &all {
        assert!(!text.contains(SECRET), "{name}: {text}");
    }
}

fn once<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn send(redis: &RedisServer, line: &str) {
    let client = redis::Client::open(redis.url()).expect("a URL");
    let mut connection = client.get_connection().expect("it is up");
    let mut words = line.split(' ');
    let mut command = redis::cmd(words.next().expect("a command"));
    command.arg(words.collect::<Vec<_>>());
    command.query::<redis::Value>(&mut connection).expect(line);
}

/// A Redis that calls itself 6.2, and knows as much as it takes to say so.
fn old_redis() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || speak_as_old(stream));
        }
    });
    format!("redis://{address}")
}

fn speak_as_old(mut to: TcpStream) -> Option<()> {
    const INFO: &str = "redis_version:6.2.14\r\nredis_mode:standalone\r\nrole:master\r\nmaster_replid:a\r\nrun_id:b\r\n";
    let mut from = BufReader::new(to.try_clone().ok()?);
    let number = |from: &mut BufReader<TcpStream>| -> Option<usize> {
        let mut line = String::new();
        from.read_line(&mut line).ok()?;
        line.trim_end().get(1..)?.parse().ok()
    };
    loop {
        let mut words = Vec::new();
        for _ in 0..number(&mut from)? {
            let mut word = vec![0; number(&mut from)? + 2];
            from.read_exact(&mut word).ok()?;
            words.push(String::from_utf8_lossy(&word).trim_end().to_uppercase());
        }
        let answer = match (&*words[0], words.len()) {
            // One section at a time.
            ("INFO", 3..) => "-ERR syntax error\r\n".to_owned(),
            ("INFO", _) => format!("${}\r\n{INFO}\r\n", INFO.len()),
            ("XREVRANGE", _) => "*0\r\n".to_owned(),
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        to.write_all(answer.as_bytes()).ok()?;
    }
}

/// A process that is ended when dropped.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Sentinel that watches `master` as `house`, and its port.
fn sentinel(directory: &Directory, master: &RedisServer) -> (Ended, u16) {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("its address").port();
    drop(free);
    let config = directory.write(
        "sentinel.conf",
        &format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor house 127.0.0.1 {} 1\n",
            master.port()
        ),
    );
    let mut command = Command::new(tagcache_test_support::redis_server());
    let child = command
        .arg(config)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .spawn();
    let running = Ended(child.expect("redis-server is installed"));
    once("the Sentinel listens", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (running, port)
}

#[test]
fn safety_136_a_server_of_another_kind_is_told() {
    let cluster = RedisServer::start_with(&["--cluster-enabled", "yes"]);
    send(&cluster, "CLUSTER ADDSLOTSRANGE 0 16383");
    let url = cluster.url();
    told_everywhere(&Bad::new(
        "a Cluster node given as single",
        cluster,
        url,
        ["node of a Redis Cluster", "redis+cluster://"],
    ));
    let (master, replica) = (RedisServer::start(), RedisServer::start());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(replica.replica_of(&master));
    let url = replica.url();
    told_everywhere(&Bad::new(
        "a replica",
        (master, replica),
        url,
        ["is a replica", "name its master"],
    ));
    told_everywhere(&Bad::new(
        "below 7.0",
        (),
        old_redis(),
        ["it is Redis 6.2.14", "use Redis 7.0"],
    ));
    let port = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!(
        "redis://:{SECRET}@{}",
        port.local_addr().expect("its address")
    );
    drop(port);
    told_everywhere(&Bad::new(
        "nobody",
        (),
        url,
        ["connection refused", "is a Redis running there"],
    ));
}

#[test]
fn safety_136_a_sentinel_that_is_named_wrongly_is_told() {
    let (directory, master) = (Directory::new(), RedisServer::start());
    let (sentinel, port) = sentinel(&directory, &master);
    let runs = (directory, master, sentinel);
    let url = format!("redis://127.0.0.1:{port}");
    let bad = Bad::new(
        "a Sentinel as Redis",
        runs,
        url,
        ["it is a Sentinel", "redis+sentinel://"],
    );
    told_everywhere(&bad);
    let url = format!("redis+sentinel://:{SECRET}@127.0.0.1:{port}/hause");
    let said = ["watches no master called \"hause\"", "sentinel monitor"];
    told_everywhere(&Bad::new("a wrong name", bad.runs, url, said));
}

#[test]
fn safety_136_who_is_not_let_in_is_told() {
    let user = [
        "--user",
        "cache",
        "on",
        &format!(">{SECRET}"),
        "~*",
        "&*",
        "+@all",
        "-xadd",
    ];
    let redis = RedisServer::start_with(&user);
    let url = format!("redis://cache:{SECRET}@{}", redis.addr());
    let bad = Bad::new("no right to a command", redis, url, ["xadd", "ACL SETUSER"]);
    told_everywhere(&bad);
    let wrong = bad
        .url
        .replace(&format!(":{SECRET}@"), &format!(":{SECRET}x@"));
    let said = ["authentication failed", "see whether user and password"];
    told_everywhere(&Bad::new("a wrong password", bad.runs, wrong, said));
    let redis = RedisServer::start_with(&["--requirepass", SECRET]);
    let url = redis.url();
    told_everywhere(&Bad::new(
        "no password",
        redis,
        url,
        ["NOAUTH", "put the password into the URL"],
    ));
}

fn believes(certificates: &Certificates) -> String {
    format!(
        "[redis.tls]\nca_file = \"{}\"\n",
        certificates.path("ca.pem")
    )
}

#[test]
fn safety_136_tls_that_does_not_fit_is_told() {
    let good = Certificates::new("localhost", (2020, 2090));
    let others = Certificates::new("localhost", (2020, 2090));
    let (redis, port) = good.serve("no");
    let (by_name, by_address) = (
        format!("rediss://localhost:{port}"),
        format!("rediss://127.0.0.1:{port}"),
    );
    let plain = redis.url();
    for bad in [
        Bad::new(
            "TLS port without TLS",
            (),
            format!("redis://localhost:{port}"),
            ["the server closed", "rediss://"],
        ),
        Bad::new(
            "TLS where there is none",
            (),
            plain.replace("redis://127.0.0.1", "rediss://localhost"),
            ["does not speak TLS", "redis://"],
        )
        .with(believes(&good)),
        Bad::new(
            "a wrong authority",
            (),
            by_name,
            ["signed by nobody whom this cache believes", "`ca_file`"],
        )
        .with(believes(&others)),
        Bad::new(
            "a wrong name",
            (),
            by_address,
            ["its certificate is for another name", "`server_name`"],
        )
        .with(believes(&good)),
    ] {
        told_everywhere(&bad);
    }
}

#[test]
fn safety_136_a_certificate_that_is_over_or_missing_is_told() {
    let old = Certificates::new("localhost", (2020, 2021));
    let (_redis, port) = old.serve("no");
    let url = format!("rediss://localhost:{port}");
    told_everywhere(
        &Bad::new(
            "expired",
            (),
            url,
            ["its certificate has expired", "renew it there"],
        )
        .with(believes(&old)),
    );
    let good = Certificates::new("localhost", (2020, 2090));
    let (_redis, port) = good.serve("yes");
    let url = format!("rediss://localhost:{port}");
    told_everywhere(
        &Bad::new(
            "no certificate",
            (),
            url,
            ["client certificate", "`certificate_file`"],
        )
        .with(believes(&good)),
    );
}
