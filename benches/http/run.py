#!/usr/bin/env python3
"""What a hit costs: the proxy beside a bare hyper server, nginx and Varnish, in one run.

    make bench-http                                # builds, then all of it
    benches/http/run.py --rounds 9 --seconds 3     # what is built already
    benches/http/run.py --only memory

One core serves and another asks (32 connections that stay open, `wrk`), the same origin is behind all, and
rounds are interleaved, so that what else the machine does hits all alike. CPU is that of all processes and
threads of a server, from /proc/PID/stat. Ratios are taken within a round, and their median is shown.
Nothing here belongs in CI.
"""

import argparse
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

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = {"1 KB": 1024, "64 KB": 65536}
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

NGINX = """
worker_processes 1;
daemon off;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
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
        report = subprocess.run(command + [f"http://127.0.0.1:{server.port}/bench"], capture_output=True, text=True, check=True).stdout
        cpu = server.cpu() - before
        if "Non-2xx" in report or "Socket errors" in report:
            sys.exit(f"{server.name}:\n{report}")
        requests = int(re.search(r"(\d+) requests in", report)[1])
        rate = float(re.search(r"Requests/sec: +([\d.]+)", report)[1])
        value, unit = re.search(r"99% +([\d.]+)(us|ms|s)", report).groups()
        return rate, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], cpu / requests * 1e6

    def hits(self, label, size):
        a = self.arguments
        origin = self.start("origin", [self.tool, "bare", "127.0.0.1:PORT", size], core=a.client_core)
        servers = [
            self.start("bare hyper", [self.tool, "bare", "127.0.0.1:PORT", size]),
            self.proxy(origin.port),
            self.nginx("nginx tuned", origin.port, TUNING),
            self.nginx("nginx sendfile", origin.port, TUNING.replace("sendfile off", "sendfile on")),
            self.nginx("nginx plain", origin.port, ""),
            self.varnish(origin.port),
        ]
        seen = {server.name: [] for server in servers}
        for server in servers:
            for _ in range(3):
                self.fetch(server.port, size)
        for turn in range(a.rounds):
            # Nobody is always first.
            order = servers[turn % len(servers):] + servers[: turn % len(servers)]
            for server in order:
                seen[server.name].append(self.measure(server))
        self.stop()
        self.table(label, seen)

    @staticmethod
    def fetch(port, size):
        with socket.create_connection(("127.0.0.1", port), 5) as stream:
            stream.sendall(b"GET /bench HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            got = b""
            while part := stream.recv(1 << 20):
                got += part
        if not got.startswith(b"HTTP/1.1 200") or not len(got) > size:
            sys.exit(f"unexpected answer: {got[:200]}")

    def table(self, label, seen):
        bare = seen["bare hyper"]
        load = os.getloadavg()[0]
        print(f"\n{label} body, {self.arguments.rounds} rounds of {self.arguments.seconds} s, load {load:.1f}\n")
        print("| server | requests/s | of bare | p99 ms | CPU µs/request | of bare | spread of CPU |")
        print("|---|---:|---:|---:|---:|---:|---:|")
        for name, rounds in seen.items():
            median = [statistics.median(column) for column in zip(*rounds)]
            ratio = [statistics.median(one[k] / base[k] for one, base in zip(rounds, bare)) for k in (0, 2)]
            cpu = sorted(one[2] for one in rounds)
            spread = (cpu[-1] - cpu[0]) / median[2] * 100
            print(
                f"| {name} | {median[0]:,.0f} | {ratio[0]:.2f} | {median[1]:.2f} "
                f"| {median[2]:.1f} | {ratio[1]:.2f} | {spread:.0f} % |"
            )
        sys.stdout.flush()

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
        mb = 1e6
        print(f"\n{got / 1e9:.1f} GB through the proxy in {took:.1f} s: RSS {before / mb:.1f} MB before, at most {max(samples) / mb:.1f} MB")
        assert got == gigabytes * 10**9, got
        self.stop()
        self.idle()

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
        each = (after - before) / wanted
        print(f"{wanted:,} idle connections, one request each before: RSS {after / 1e6:.1f} MB, {each / 1e3:.1f} KB each over {before / 1e6:.1f} MB")
        for stream in streams:
            stream.close()
        self.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--gigabytes", type=int, default=10)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--only", choices=["hits", "memory"])
    parser.add_argument("--tagcache", help="the program to measure; default: target/release/tagcache, else the library's proxy")
    arguments = parser.parse_args()
    program = ROOT / "target/release/tagcache"
    if not arguments.tagcache and program.exists():
        arguments.tagcache = program
    install({"wrk": "wrk", "nginx": "nginx-light", "varnishd": "varnish"})
    os.environ["PATH"] += ":/usr/sbin"
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        bench = Bench(arguments, work)
        print(f"proxy: {arguments.tagcache or bench.tool}")
        try:
            if arguments.only != "memory":
                for label, size in SIZES.items():
                    bench.hits(label, size)
            if arguments.only != "hits":
                bench.memory()
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
