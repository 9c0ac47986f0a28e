//! Processes that the system stops and lets go on again, as a machine that swaps or a container that is paused does
//! (SAFETY 121). `make everywhere` stops more of them: `TAGCACHE_STOPS` says how often.

use std::time::{Duration, Instant};

use tagcache_test_support::RedisServer;

use super::program::{Directory, PATIENCE, Running, Upstream};

const PATH: &str = "/item/1";

/// The number of the upstream's call that made this answer.
fn call(answer: &str) -> u32 {
    let number = answer.rsplit("call ").next();
    let number = number.and_then(|number| number.trim().parse().ok());
    number.unwrap_or_else(|| panic!("not a call's answer: {answer}"))
}

/// Until it answers near.
fn warm(proxy: &Running) -> u32 {
    let started = Instant::now();
    loop {
        let answer = proxy.get(PATH);
        if answer.contains("; hit") {
            return call(&answer);
        }
        assert!(started.elapsed() < PATIENCE, "{answer}");
    }
}

#[test]
fn safety_121_a_process_that_was_stopped_answers_with_nothing_that_was_purged_meanwhile() {
    let given = std::env::var("TAGCACHE_STOPS").ok();
    let stops: usize = given.map_or(3, |given| given.parse().expect("a number"));
    let (server, upstream) = (RedisServer::start(), Upstream::start());
    let directory = Directory::new();
    directory.configure(&format!(
        "[redis]\nurl = \"{}\"\npurge_timeout = \"20s\"\n[proxy]\nupstreams = [\"{}\"]\n\
         [[rules]]\nname = \"items\"\nroute = \"/item/{{id}}\"\nttl = \"1h\"\ntags = [\"item:{{id}}\"]\n",
        server.url(),
        upstream.url
    ));
    let proxies = [(); 3].map(|()| directory.proxy(&[]));
    let mut slowest = Duration::ZERO;
    for stop in 0..stops {
        let newest = proxies.iter().map(warm).max().expect("three proxies");
        let stopped = &proxies[stop % 3];
        stopped.signal("STOP");
        let began = Instant::now();
        let purged = directory.run(&["purge", "--tag", "item:1"]);
        slowest = slowest.max(began.elapsed());
        assert_eq!(purged.status, 0, "{purged:?}");
        for proxy in proxies
            .iter()
            .filter(|proxy| !std::ptr::eq(*proxy, stopped))
        {
            let answer = proxy.get(PATH);
            assert!(call(&answer) > newest, "stop {stop}, another: {answer}");
        }
        stopped.signal("CONT");
        let answer = stopped.get(PATH);
        assert!(call(&answer) > newest, "stop {stop}: {answer}");
    }
    println!("{stops} stops, 0 old; the slowest command to purge took {slowest:?}");
}
