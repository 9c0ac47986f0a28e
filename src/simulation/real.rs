//! The servers of the simulation behave as real ones do: by the suites of both traits, and by random commands that both
//! are given.

use std::sync::Arc;
use std::time::Duration;

use ::redis::{Pipeline, Value};
use tagcache_test_support::RedisServer;
use tokio::time::Instant;

use super::network::{Network, SERVERS};
use super::server::Server;
use super::server::commands::Outcome;
use super::server::resp::Command;
use super::server::state::{Role, State};
use crate::clock::ManualClock;
use crate::log::Log;
use crate::observe::SharedObserver;
use crate::redis::{CLAIM_SCRIPTS, RedisPlaces, SCRIPTS};
use crate::store::{Budgets, Store};
use crate::sync::Process;

const PATIENT: Budgets = Budgets {
    connect: Duration::from_secs(5),
    read: Duration::from_secs(5),
    write: Duration::from_secs(5),
    purge: Duration::from_secs(5),
};

struct Fixture {
    server: Server,
    process: Process,
}

fn fixture() -> Fixture {
    let network = Network::new(7);
    let server = Server::new(
        &network,
        State::new(SERVERS, Role::Master, 0, 7, Instant::now()),
    );
    server.start();
    let process = Process::new(Box::new(move |_: &str, _| {
        let network = network.clone();
        Box::pin(async move {
            let stream = network.connect(0, SERVERS, super::server::PORT).await?;
            Ok(Box::new(stream) as Box<dyn crate::sync::Socket>)
        })
    }));
    Fixture { server, process }
}

impl Fixture {
    fn places(&self) -> RedisPlaces {
        let server = crate::redis::Server::new("redis://server-100", PATIENT).unwrap();
        let clock = Arc::new(ManualClock::default());
        RedisPlaces::open(server, "test", clock, SharedObserver::new(()), false).unwrap()
    }
}

impl crate::log::contract::Fixture for Fixture {
    fn node(&self) -> Arc<dyn Log> {
        self.places().log
    }

    async fn lose(&self) {
        self.server.run(&["FLUSHALL"]);
    }

    fn within<F: Future>(&self, test: F) -> impl Future<Output = F::Output> {
        self.process.own(test)
    }
}

impl crate::store::contract::Fixture for Fixture {
    fn node(&self) -> (Arc<dyn Store>, Arc<dyn Log>) {
        let places = self.places();
        (places.store, places.log)
    }

    async fn outlive(&self, keep: Duration) {
        tokio::time::sleep(keep + Duration::from_millis(2)).await;
    }

    async fn lose_log(&self) {
        self.server.run(&["DEL", "test:purges"]);
    }

    fn within<F: Future>(&self, test: F) -> impl Future<Output = F::Output> {
        self.process.own(test)
    }
}

crate::log::contract::log_contract!(fixture());
crate::store::contract::store_contract!(fixture());

const KEYS: [&str; 4] = ["log", "roll", "text", "other"];
const FIELDS: [&str; 4] = ["n:a", "p:a", "mark", "token"];
const VALUES: [&str; 6] = ["", "1 300 8", "7", "7-0", "9-1", "7-12345"];
const IDS: [&str; 9] = [
    "0-*", "7-*", "9-*", "8-*", "7-0", "7-3", "0-0", "9-1", "nonsense",
];
const BOUNDS: [&str; 6] = ["-", "+", "7-1", "9-0", "0-0", "x"];

/// In them: one key for the whole command, and whatever else is chosen.
const TEMPLATES: [&[&str]; 29] = [
    &["GET", "<key>"],
    &["SET", "<key>", "<value>"],
    &["SET", "<key>", "<value>", "PX", "100000"],
    &["SET", "<key>", "<value>", "NX", "GET", "PX", "100000"],
    &["SET", "<key>", "<value>", "NX", "PX", "100000"],
    &["SET", "<key>", "<value>", "PX", "0"],
    &["GETRANGE", "<key>", "0", "2"],
    &["PEXPIRE", "<key>", "100000"],
    &["UNLINK", "<key>"],
    &["DEL", "<key>", "text"],
    &["EXISTS", "<key>"],
    &["HSET", "<key>", "<field>", "<value>"],
    &["HSET", "<key>", "<field>", "<value>", "mark", "7"],
    &["HSETNX", "<key>", "<field>", "<value>"],
    &["HMGET", "<key>", "mark", "token", "<field>"],
    &["HGETALL", "<key>"],
    &["HGET", "<key>", "<field>"],
    &["HDEL", "<key>", "<field>", "mark"],
    &["XADD", "<key>", "NOMKSTREAM", "<id>", "kind", "<value>"],
    &["XADD", "<key>", "<id>", "kind", "<value>", "run", "x"],
    &["XRANGE", "<key>", "<bound>", "<bound>", "COUNT", "<number>"],
    &[
        "XREVRANGE",
        "<key>",
        "<bound>",
        "<bound>",
        "COUNT",
        "<number>",
    ],
    &["XREAD", "COUNT", "<number>", "STREAMS", "<key>", "7-1"],
    &["XTRIM", "<key>", "MINID", "7-2"],
    &["XTRIM", "<key>", "MAXLEN", "<number>"],
    &["XLEN", "<key>"],
    &[
        "EVAL",
        "<roll script>",
        "2",
        "<key>",
        "log",
        "<field>",
        "<value>",
        "<field>",
    ],
    &[
        "EVAL",
        "<claim script>",
        "1",
        "<key>",
        "<value>",
        "<value>",
        "1000",
    ],
    &["XREVRANGE", "<key>", "+", "-", "COUNT", "1"],
];

/// A command that `src/redis` might send, or might send to the wrong key.
fn random_command(random: &mut fastrand::Rng) -> Vec<String> {
    fn one(random: &mut fastrand::Rng, of: &[&str]) -> String {
        of[random.usize(..of.len())].to_owned()
    }
    let key = one(random, &KEYS);
    let mut words = |words: &[&str]| -> Vec<String> {
        let word = |word: &&str| match *word {
            "<field>" => one(random, &FIELDS),
            "<value>" => one(random, &VALUES),
            "<id>" => one(random, &IDS),
            "<bound>" => one(random, &BOUNDS),
            "<number>" => one(random, &["1", "2", "3", "100"]),
            "<roll script>" => one(random, &SCRIPTS),
            "<claim script>" => one(random, &CLAIM_SCRIPTS),
            word => word.to_owned(),
        };
        words.iter().map(word).collect()
    };
    let template = TEMPLATES[fastrand::usize(..TEMPLATES.len())];
    let mut command = words(template);
    for word in &mut command {
        if word == "<key>" {
            word.clone_from(&key);
        }
    }
    command
}

fn simulated(state: &mut State, command: &[String]) -> Value {
    let command: Command = command
        .iter()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    let Outcome::Answer(answer) = state.execute(&command) else {
        panic!("{command:?} blocks");
    };
    let mut wire = Vec::new();
    answer.write(&mut wire);
    ::redis::parse_redis_value(&wire).expect("an answer of the simulation is one")
}

/// Errors by their code, and whether they say what is looked for in them.
fn alike(value: &Value) -> String {
    match error_of(value) {
        Some((code, detail)) => {
            let smaller = detail.contains("equal or smaller");
            let unread = detail.to_ascii_lowercase().contains("invalid stream id");
            format!("error {code}, smaller: {smaller}, unread: {unread}")
        }
        None => format!("{value:?}"),
    }
}

fn error_of(value: &Value) -> Option<(String, String)> {
    let error = match value {
        Value::ServerError(error) => ::redis::RedisError::from(error.clone()),
        _ => return None,
    };
    Some((
        error.code().unwrap_or_default().to_owned(),
        error.detail().unwrap_or_default().to_owned(),
    ))
}

/// SAFETY 149: what is simulated is what Redis does.
#[tokio::test]
async fn safety_149_random_commands_are_answered_as_a_real_server_answers_them() {
    let real = RedisServer::start();
    let client = ::redis::Client::open(real.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        fastrand::seed(seed);
        let mut state = State::new(SERVERS, Role::Master, 0, seed, Instant::now());
        let mut commands = vec![vec!["FLUSHALL".to_owned()]];
        commands.extend((0..80).map(|_| random_command(&mut random)));
        let mut pipe = Pipeline::new();
        for command in &commands {
            pipe.add_command(command.iter().fold(::redis::Cmd::new(), |mut cmd, word| {
                cmd.arg(word);
                cmd
            }));
        }
        pipe.ignore_errors();
        let answers = connection
            .send_packed_commands(&pipe, 0, pipe.len())
            .await
            .unwrap();
        for (at, (command, real)) in commands.iter().zip(&answers).enumerate() {
            let ours = simulated(&mut state, command);
            assert_eq!(
                alike(&ours),
                alike(real),
                "seed {seed}, after {:?}",
                &commands[..=at]
            );
        }
    }
}
