#!/usr/bin/env python3
"""What a hit costs: layer and proxy beside a bare hyper server and other caches, in one run.

    make bench-http                                # builds, then all of it: some twenty minutes
    tagcache/benches/http/run.py --rounds 9 --seconds 3     # what is built already
    tagcache/benches/http/run.py --only hits,memory         # some parts: hits, strict, herd, memory

One core serves and another asks (32 connections that stay open, `wrk`), the same origin is behind all, and
rounds are interleaved, so that what else the machine does hits all alike. Redis is on the core that asks.
CPU is that of all processes and threads of a server, from /proc/PID/stat. Ratios are taken within a round, and
their median is shown. Caches that are layers too (`make bench-peers` builds them) are around the same bare server.

Writes target/bench-http.json (parts that did not run are kept from before); `make bench-report` makes tables and
plots of it. Nothing here belongs in CI.
"""

import argparse
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "benches"))
import machine  # noqa: E402
import tables  # noqa: E402

OUTPUT = ROOT / "target/bench-http.json"
PARTS = ["hits", "strict", "herd", "memory"]
TARGET = "/bench/1"
SIZES = {"1 KB": 1024, "64 KB": 65536}
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

NGINX = """
worker_processes 1;
daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    proxy_temp_path {dir}/temp;
    client_body_temp_path {dir}/body;
    fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
    proxy_cache_path {dir}/cache keys_zone=bench:10m inactive=1h;
    {tuning}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_cache bench;
            proxy_cache_valid 200 1h;
            proxy_cache_lock on;
        }}
    }}
}}
"""

# Files are kept open. A large buffer takes a body whole; the kernel's own copy (`sendfile`) is better for
# large bodies and worse for small ones, so that both are here.
TUNING = """
    sendfile off;
    keepalive_requests 1000000000;
    open_file_cache max=10000 inactive=1h;
    open_file_cache_valid 1h;
    output_buffers 1 256k;
"""


def install(tools):
    packages = [package for tool, package in tools.items() if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin")]
    if not packages:
        return
    if not shutil.which("apt-get"):
        sys.exit(f"missing, and there is no apt-get: {packages}")
    root = [] if os.getuid() == 0 else ["sudo"]
    subprocess.run(root + ["apt-get", "update"], check=False)
    install = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"]
    subprocess.run(root + install + packages, check=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def newest(pattern):
    found = [path for path in ROOT.glob(pattern) if os.access(path, os.X_OK) and path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


class Server:
    """A program on one core, and all that it starts."""

    def __init__(self, name, command, port, core, log):
        self.name, self.port = name, port
        command = ["taskset", "-c", str(core), *map(str, command)]
        self.log = open(log, "wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"{name} does not listen: see {log}")

    def processes(self):
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                except OSError:
                    continue
                parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
        found, new = [], [self.process.pid]
        while new:
            found += new
            new = [child for parent in new for child in parents.get(parent, [])]
        return found

    def cpu(self):
        """Seconds of CPU, user and system, so far."""
        total = 0
        for pid in self.processes():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def rss(self):
        return sum(int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in self.processes())

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            self.process.kill()
        self.log.close()


class Bench:
    def __init__(self, arguments, work):
        self.arguments, self.work = arguments, pathlib.Path(work)
        self.tool = newest("target/release/deps/http_server-*")
        if not self.tool:
            sys.exit("not built: make bench-http")
        self.peers = newest("target/peers/release/cache-peers")
        if not self.peers:
            print("without tower-http-cache and hitbox: make bench-peers builds them", file=sys.stderr)
        self.tagcache = pathlib.Path(arguments.tagcache) if arguments.tagcache else None
        self.running = []

    def start(self, name, command, port=None, core=None):
        port = port or free_port()
        core = self.arguments.server_core if core is None else core
        command = [str(part).replace("PORT", str(port)) for part in command]
        server = Server(name, command, port, core, self.work / f"{name.replace(' ', '-')}-{port}.log")
        self.running.append(server)
        return server

    def stop(self):
        for server in self.running:
            server.stop()
        self.running = []

    def proxy(self, origin):
        if self.tagcache:
            listen = ["--listen", "127.0.0.1:PORT", "--upstream", f"http://127.0.0.1:{origin}"]
            return self.start("tagcache", [self.tagcache, "proxy", *listen])
        return self.start("tagcache", [self.tool, "proxy", "127.0.0.1:PORT", f"http://127.0.0.1:{origin}"])

    def redis(self):
        """The URL of a server on the core that asks."""
        command = ["redis-server", "--port", "PORT", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", self.work]
        server = self.start("redis", command, core=self.arguments.client_core)
        return f"redis://127.0.0.1:{server.port}"

    def layered(self, name, size, *arguments, delay=0):
        return self.start(name, [self.tool, "layer", "127.0.0.1:PORT", size, delay, *arguments])

    def others(self, size, *redis, delay=0):
        """The other caches that are layers, around the same server."""
        if not self.peers:
            return []
        kinds, where = ["tower-http-cache", "hitbox"], " on Redis" if redis else ""
        return [self.start(kind + where, [self.peers, kind, "127.0.0.1:PORT", size, delay, *redis]) for kind in kinds]

    def nginx(self, name, origin, tuning):
        port, home = free_port(), self.work / f"{name}-{origin}".replace(" ", "-")
        home.mkdir()
        # Its worker is another user if we are root.
        os.chmod(home, 0o777)
        config = home / "nginx.conf"
        config.write_text(NGINX.format(dir=home, port=port, origin=origin, tuning=tuning))
        return self.start(name, ["nginx", "-e", home / "error.log", "-c", config], port)

    def varnish(self, origin):
        home = self.work / f"varnish-{origin}"
        home.mkdir()
        command = ["varnishd", "-F", "-j", "none", "-n", home, "-a", "127.0.0.1:PORT", "-b", f"127.0.0.1:{origin}"]
        return self.start("Varnish", command + ["-s", "malloc,256m"])

    def measure(self, server):
        """One round: requests a second, p99 in ms, CPU a request in µs."""
        a = self.arguments
        command = ["taskset", "-c", str(a.client_core), "wrk", "-t1", f"-c{a.connections}", f"-d{a.seconds}s", "--latency"]
        before = server.cpu()
        report = subprocess.run(command + [f"http://127.0.0.1:{server.port}{TARGET}"], capture_output=True, text=True, check=True).stdout
        cpu = server.cpu() - before
        if "Non-2xx" in report or "Socket errors" in report:
            sys.exit(f"{server.name}:\n{report}")
        requests = int(re.search(r"(\d+) requests in", report)[1])
        rate = float(re.search(r"Requests/sec: +([\d.]+)", report)[1])
        value, unit = re.search(r"99% +([\d.]+)(us|ms|s)", report).groups()
        return rate, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], cpu / requests * 1e6

    def hits(self):
        return {"rows": {label: self.of_size(label, size) for label, size in SIZES.items()}}

    def of_size(self, label, size):
        origin = self.start("origin", [self.tool, "bare", "127.0.0.1:PORT", size], core=self.arguments.client_core)
        servers = [
            self.start("bare hyper", [self.tool, "bare", "127.0.0.1:PORT", size]),
            self.layered("layer", size),
            self.layered("layer, near Redis", size, self.redis(), "near"),
            self.proxy(origin.port),
            self.nginx("nginx tuned", origin.port, TUNING),
            self.nginx("nginx sendfile", origin.port, TUNING.replace("sendfile off", "sendfile on")),
            self.nginx("nginx plain", origin.port, ""),
            self.varnish(origin.port),
            *self.others(size),
        ]
        return self.compared(f"hits, {label}", servers, size)

    def strict(self):
        """Hits that ask Redis each time."""
        return {"rows": {label: self.strict_of_size(label, size) for label, size in SIZES.items()}}

    def strict_of_size(self, label, size):
        redis = self.redis()
        origin = self.start("origin", [self.tool, "bare", "127.0.0.1:PORT", size], core=self.arguments.client_core)
        proxy = [self.tool, "proxy", "127.0.0.1:PORT", f"http://127.0.0.1:{origin.port}", redis, "strict"]
        servers = [
            self.start("two GETs", [self.tool, "gets", "127.0.0.1:PORT", size, redis]),
            self.layered("layer, strict", size, redis, "strict"),
            self.start("tagcache, strict", proxy),
            *self.others(size, redis),
        ]
        return self.compared(f"strict hits, {label}", servers, size)

    def compared(self, what, servers, size):
        seen = {server.name: [] for server in servers}
        for server in servers:
            for _ in range(3):
                self.fetch(server.port, size)
        for turn in range(self.arguments.rounds):
            # Nobody is always first.
            order = servers[turn % len(servers):] + servers[: turn % len(servers)]
            for server in order:
                seen[server.name].append(self.measure(server))
                print(f"# {what}, round {turn + 1}, {server.name}: %.0f/s, p99 %.2f ms, %.1f µs" % seen[server.name][-1], file=sys.stderr)
        self.stop()
        return seen

    def herd(self):
        """A thousand requests for what is not stored, from a client on the other core."""
        delayed = [self.tool, "origin", "127.0.0.1:PORT", 1024, 100]
        found = {}
        for name in ["layer", "tagcache", "nginx tuned", "Varnish", "tower-http-cache", "hitbox"]:
            origin = self.start("origin", delayed, core=self.arguments.client_core)
            if name == "layer":
                counting = server = self.layered("layer", 1024, delay=100)
            elif name in ("tower-http-cache", "hitbox"):
                others = {server.name: server for server in self.others(1024, delay=100)}
                counting = server = others.get(name)
            else:
                starts = {"tagcache": self.proxy, "Varnish": self.varnish}
                server = starts[name](origin.port) if name in starts else self.nginx(name, origin.port, TUNING)
                counting = origin
            if server:
                found[name] = self.stampede(server, counting)
                print(f"# herd, {name}: {found[name]}", file=sys.stderr)
            self.stop()
        return {"rows": found}

    def stampede(self, server, counting):
        rounds = self.arguments.rounds
        command = ["taskset", "-c", str(self.arguments.client_core), self.tool, "herd", f"127.0.0.1:{server.port}", "1000", str(rounds)]
        report = subprocess.run(command, capture_output=True, text=True)
        if report.returncode:
            return {"failed": (report.stderr.strip().splitlines() or ["?"])[-1][:200]}
        times = sorted(float(line) for line in report.stdout.split())
        calls = int(self.body(counting.port, "/calls"))
        return {"calls": calls / rounds, "p50_ms": times[len(times) // 2], "p99_ms": times[len(times) * 99 // 100]}

    @staticmethod
    def body(port, target):
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(f"GET {target} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            got = b""
            while part := stream.recv(1 << 20):
                got += part
        return got.partition(b"\r\n\r\n")[2]

    @staticmethod
    def fetch(port, size):
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(f"GET {TARGET} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            got = b""
            while part := stream.recv(1 << 20):
                got += part
        if not got.startswith(b"HTTP/1.1 200") or not len(got) > size:
            sys.exit(f"unexpected answer: {got[:200]}")

    def memory(self):
        gigabytes = self.arguments.gigabytes
        origin = self.start("origin", [self.tool, "null", "127.0.0.1:PORT"], core=self.arguments.client_core)
        proxy = self.proxy(origin.port)
        before, samples, done = proxy.rss(), [], threading.Event()

        def watch():
            while not done.wait(0.05):
                samples.append(proxy.rss())

        watcher = threading.Thread(target=watch)
        watcher.start()
        began = time.monotonic()
        got = self.drain(proxy.port, f"/{gigabytes * 10**9}")
        took = time.monotonic() - began
        done.set()
        watcher.join()
        assert got == gigabytes * 10**9, got
        self.stop()
        streamed = {"bytes": got, "seconds": took, "before": before, "most": max(samples)}
        return {"streamed": streamed, "idle": self.idle()}

    @staticmethod
    def drain(port, path):
        buffer, got = bytearray(1 << 20), 0
        with socket.create_connection(("127.0.0.1", port), 30) as stream:
            stream.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += stream.recv(4096)
            got = len(head.partition(b"\r\n\r\n")[2])
            while count := stream.recv_into(buffer):
                got += count
        return got

    def idle(self):
        wanted = self.arguments.idle
        origin = self.start("origin", [self.tool, "bare", "127.0.0.1:PORT", 1024], core=self.arguments.client_core)
        proxy = self.proxy(origin.port)
        before, streams = proxy.rss(), []
        for _ in range(wanted):
            stream = socket.create_connection(("127.0.0.1", proxy.port), 10)
            stream.sendall(b"GET /bench HTTP/1.1\r\nHost: bench\r\n\r\n")
            got = b""
            while len(got) < 1024 or b"\r\n\r\n" not in got:
                got += stream.recv(4096)
            streams.append(stream)
        after = proxy.rss()
        for stream in streams:
            stream.close()
        self.stop()
        return {"connections": wanted, "before": before, "after": after}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--gigabytes", type=int, default=10)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--tagcache", help="the program to measure; default: target/release/tagcache, else the library's proxy")
    arguments = parser.parse_args()
    program = ROOT / "target/release/tagcache"
    if not arguments.tagcache and program.exists():
        arguments.tagcache = program
    install({"wrk": "wrk", "nginx": "nginx-light", "varnishd": "varnish", "redis-server": "redis-server"})
    os.environ["PATH"] += ":/usr/sbin"
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        bench = Bench(arguments, work)
        print(f"# proxy: {arguments.tagcache or bench.tool}", file=sys.stderr)
        try:
            for part in arguments.only.split(","):
                before = machine.load()
                found = getattr(bench, part)()
                settings = {"rounds": arguments.rounds, "seconds": arguments.seconds, "connections": arguments.connections}
                results = json.loads(OUTPUT.read_text()) if OUTPUT.exists() else {}
                results[part] = {"machine": machine.describe(), "load": [before, machine.load()], "settings": settings, **found}
                OUTPUT.write_text(json.dumps(results, indent=1) + "\n")
        finally:
            bench.stop()
    print("\n".join(tables.http(json.loads(OUTPUT.read_text()))))


if __name__ == "__main__":
    main()
