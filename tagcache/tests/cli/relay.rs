//! `tagcache relay`: two regions, each with a Redis of its own.

use std::time::Instant;

use tagcache_test_support::RedisServer;

use super::program::{Directory, PATIENCE, Running, Upstream};

fn proxy(directory: &Directory, server: &RedisServer, upstream: &Upstream, more: &str) -> Running {
    directory.configure(&format!(
        "[redis]\nurl = \"{}\"\npurge_timeout = \"20s\"\n{more}\n[proxy]\nupstreams = [\"{}\"]\n\
         [[rules]]\nname = \"items\"\nroute = \"/item/{{id}}\"\nttl = \"1h\"\ntags = [\"item:{{id}}\"]\n",
        server.url(),
        upstream.url
    ));
    directory.proxy(&[])
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never: {what}");
    }
}

#[test]
fn safety_155_the_program_takes_purges_from_one_region_to_another() {
    let (us, eu, upstream) = (
        RedisServer::start(),
        RedisServer::start(),
        Upstream::start(),
    );
    let (in_us, in_eu) = (Directory::new(), Directory::new());
    let _near = proxy(&in_us, &us, &upstream, "");
    let watch = "[redis.relay]\nfrom = [\"us\"]\nmax_cut = \"20s\"";
    let far = proxy(&in_eu, &eu, &upstream, watch);
    assert!(!far.get("/item/1").contains("; hit"), "nobody is heard yet");
    let (from, to) = (us.url(), eu.url());
    let args = [
        "--from", &*from, "--to", &*to, "--region", "us", "--beat", "100ms",
    ];
    let relay = in_us.relay(&args);
    let answer = |path: &str| relay.get(path);
    until("it is ready", || {
        answer("/readyz").contains("\"ready\":true")
    });
    assert!(answer("/healthz").contains("ok"));
    assert!(answer("/metrics").contains("tagcache_relay_lag_seconds{region=\"us\"}"));
    until("it hits", || far.get("/item/1").contains("; hit"));
    let number = |answer: String| {
        answer
            .rsplit("call ")
            .next()
            .map(|text| text.trim().parse::<u32>().expect("a number"))
    };
    let before = number(far.get("/item/1"));
    let purged = in_us.run(&["purge", "--tag", "item:1"]);
    assert_eq!(purged.status, 0, "{purged:?}");
    until("it is purged there", || number(far.get("/item/1")) > before);
    relay.signal("TERM");
    relay.log.wait("ended");
}

#[test]
fn what_cannot_be_relayed_is_said() {
    let (server, directory) = (RedisServer::start(), Directory::new());
    let url = server.url();
    let same = directory.run(&["relay", "--from", &url, "--to", &url]);
    assert_eq!(same.status, 2, "{same:?}");
    assert!(same.err.contains("one purge log"), "{same:?}");
    let wrong = directory.run(&["relay", "--from", "http://x", "--to", &url]);
    assert_eq!(wrong.status, 2, "{wrong:?}");
    let name = directory.run(&["relay", "--from", &url, "--to", &url, "--region", "u s"]);
    assert!(name.status == 2 && name.err.contains("region"), "{name:?}");
}
