//! The program and what it talks to: a directory, an upstream, a client.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tagcache_test_support::{Held, Origin, Served, ok};
use tokio::runtime::Runtime;

/// A test that hangs is one that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A directory of a test's own, removed with all that is in it.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tagcache-cli-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    /// Writes `tagcache.toml`, at once: a reader sees the old or the new one.
    pub(crate) fn configure(&self, text: &str) {
        let new = self.0.join("new.toml");
        fs::write(&new, text).expect("a file");
        fs::rename(new, self.0.join("tagcache.toml")).expect("a file");
    }

    /// Writes a file of another name, and returns where it is.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }

    /// The lines of a file here, as soon as there are so many.
    pub(crate) fn lines(&self, name: &str, least: usize) -> Vec<String> {
        let started = std::time::Instant::now();
        loop {
            let text = fs::read_to_string(self.0.join(name)).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.len() >= least {
                return lines;
            }
            assert!(started.elapsed() < PATIENCE, "{lines:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs the program here until it ends.
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("the program runs"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tagcache"));
        command.args(args).current_dir(&self.0).env_clear();
        command
    }

    /// Starts the proxy here, on a free port, and waits until it listens.
    pub(crate) fn proxy(&self, args: &[&str]) -> Running {
        self.listening("proxy", args)
    }

    /// As [`proxy`](Self::proxy), a relay between two regions.
    pub(crate) fn relay(&self, args: &[&str]) -> Running {
        self.listening("relay", args)
    }

    fn listening(&self, what: &str, args: &[&str]) -> Running {
        let mut all = vec![what, "--listen", "127.0.0.1:0"];
        all.extend(args);
        let mut command = self.command(&all);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
        let log = Log::of(child.stderr.take().expect("piped"));
        let line = log.wait("listening");
        let (_, address) = line.split_once("address=").expect("an address");
        let address = address.trim().parse().expect("an address");
        Running {
            child,
            address,
            log,
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it was not killed"),
            out: String::from_utf8(output.stdout).expect("text"),
            err: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

/// What a program writes to its log.
pub(crate) struct Log {
    lines: Mutex<Receiver<String>>,
    heard: Mutex<Vec<String>>,
}

impl Log {
    fn of(stderr: ChildStderr) -> Self {
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        });
        Self {
            lines: Mutex::new(lines),
            heard: Mutex::default(),
        }
    }

    /// The next line that says `what`.
    pub(crate) fn wait(&self, what: &str) -> String {
        let lines = self.lines.lock().expect("no panic");
        loop {
            let line = lines.recv_timeout(PATIENCE);
            let heard = || self.heard.lock().expect("no panic");
            let line = line.unwrap_or_else(|_| panic!("nobody said {what:?}: {:#?}", heard()));
            heard().push(line.clone());
            if line.contains(what) {
                return line;
            }
        }
    }
}

impl Log {
    /// The first line that says `what`, if it was heard already or comes.
    pub(crate) fn find(&self, what: &str) -> String {
        let heard = self.lines();
        let found = heard.into_iter().find(|line| line.contains(what));
        found.unwrap_or_else(|| self.wait(what))
    }

    /// The lines up to the one that was waited for last.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.heard.lock().expect("no panic").clone()
    }

    /// How many of the lines up to the one that was waited for last say `what`.
    pub(crate) fn count(&self, what: &str) -> usize {
        let heard = self.heard.lock().expect("no panic");
        heard.iter().filter(|line| line.contains(what)).count()
    }
}

/// A program that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &id])
            .status();
        assert!(sent.expect("a kill command").success());
    }

    /// Waits for its end, and returns its status.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }

    pub(crate) fn get(&self, path: &str) -> String {
        get(self.address, path)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole response to a `GET`.
pub(crate) fn get(address: SocketAddr, path: &str) -> String {
    ask(address, "GET", path)
}

/// The whole response to a request without a body.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut response = String::new();
    stream.read_to_string(&mut response).expect("answered");
    response
}

/// An origin that answers each request with its number, served beside a test that blocks.
pub(crate) struct Upstream {
    pub(crate) url: String,
    pub(crate) origin: Origin,
    _served: Served,
    runtime: Runtime,
}

impl Upstream {
    pub(crate) fn start() -> Self {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let origin = Origin::answering(|asked| {
            let text = format!("call {}", asked.number);
            ok(&[("cache-control", "max-age=60")], text)
        });
        let served = runtime.block_on(origin.serve());
        Self {
            url: served.url(),
            origin,
            _served: served,
            runtime,
        }
    }

    /// Waits until the origin holds a call.
    pub(crate) fn arrived(&self, held: &mut Held) {
        self.runtime.block_on(held.arrived());
    }
}
