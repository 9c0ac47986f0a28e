#!/usr/bin/env python3
"""What one client, or many at once, must not do to a proxy: at full size (the tests have it in small).

    scripts/drill-load.py [case ...]     # with TAGCACHE=path/to/tagcache, that program

Everything listens on free loopback ports and is stopped at the end. Needs ab and redis-server.
"""

import asyncio
import collections
import os
import pathlib
import re
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = os.environ.get("TAGCACHE", str(ROOT / "target/release/tagcache"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Upstream(threading.Thread):
    """/slow/S answers after S seconds, /hang never, /big/* with 2 MB that may be stored, others at once."""

    def __init__(self):
        super().__init__(daemon=True)
        self.port, self.calls, self.ready = free_port(), collections.Counter(), threading.Event()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        server = await asyncio.start_server(self.client, "127.0.0.1", self.port, backlog=4096)
        self.ready.set()
        async with server:
            await server.serve_forever()

    async def client(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path = head.split(" ", 2)[:2]
                length = re.search(r"(?i)\r\ncontent-length: *(\d+)", head)
                if length:
                    await reader.readexactly(int(length[1]))
                kind = path.split("?")[0].split("/")[1]
                self.calls[f"{method} {kind}"] += 1
                if kind == "hang":
                    await reader.read()
                    return
                if kind == "slow":
                    await asyncio.sleep(float(path.split("?")[0].split("/")[2]))
                body = b"x" * 2_000_000 if kind == "big" else f"{path} {self.calls.total()}".encode()
                fields = "" if method != "GET" else "Cache-Control: max-age=600\r\n"
                writer.write(f"HTTP/1.1 200 OK\r\n{fields}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


class Site:
    """An upstream, a proxy, and a Redis if it is wanted."""

    def __init__(self, redis=False, rules="", proxy=""):
        self.work = tempfile.TemporaryDirectory()
        self.upstream = Upstream()
        self.upstream.start()
        self.upstream.ready.wait()
        self.port, self.processes = free_port(), []
        text = ""
        if redis:
            port = free_port()
            server = ["redis-server", "--port", str(port), "--save", "", "--dir", self.work.name]
            self.processes.append(subprocess.Popen(server, stdout=subprocess.DEVNULL))
            text = f'mode = "prod"\n[redis]\nurl = "redis://127.0.0.1:{port}"\n'
            wait_for(port)
        text += f'[proxy]\nlisten = ["127.0.0.1:{self.port}"]\nupstreams = [{{ url = "http://127.0.0.1:{self.upstream.port}" }}]\n'
        text += f"{proxy}\n{rules}\n"
        config = pathlib.Path(self.work.name) / "tagcache.toml"
        config.write_text(text)
        log = open(pathlib.Path(self.work.name) / "log", "w")
        command = [PROGRAM, "proxy", "--config", str(config)]
        self.proxy = subprocess.Popen(command, stdout=log, stderr=log)
        self.processes.append(self.proxy)
        try:
            wait_for(self.port)
        except AssertionError:
            sys.stderr.write((pathlib.Path(self.work.name) / "log").read_text())
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        self.work.cleanup()

    def get(self, path, method="GET"):
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as answer:
            return answer.headers.get("Cache-Status", ""), answer.read()

    async def ask(self, path, method="GET"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        return answer

    def rss(self):
        status = pathlib.Path(f"/proc/{self.proxy.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def ab(self, requests, connections, path, *more):
        url = f"http://127.0.0.1:{self.port}{path}"
        command = ["ab", "-q", "-k", "-s", "60", "-n", str(requests), "-c", str(connections), *more, url]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def wait_for(port):
    for _ in range(100):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}")


STRICT = """
[[rules]]
name = "all"
route = "/{*path}"
consistency = "strict"
ttl = "600s"
"""


def herd():
    """500 clients of one answer that takes 12 s: one call."""
    with Site() as site:
        async def ask_all():
            return await asyncio.gather(*(site.ask("/slow/12") for _ in range(500)))

        answers = asyncio.run(ask_all())
        calls = site.upstream.calls["GET slow"]
        print(f"herd: 500 clients, an answer of 12 s: {calls} calls")
        assert calls == 1 and all(b" 200 " in answer[:20] for answer in answers)


def strict():
    """20,000 requests at 2,000 connections for one strict hit, with a healthy Redis: no forward."""
    with Site(redis=True, rules=STRICT) as site:
        for _ in range(3):
            site.get("/page")
        before = site.upstream.calls["GET page"]
        out = site.ab(20000, 2000, "/page")
        forwards = site.upstream.calls["GET page"] - before
        rate = re.search(r"Requests per second: +(\S+)", out)[1]
        print(f"strict: 20,000 requests, 2,000 connections: {forwards} forwarded ({rate} requests/s)")
        assert forwards == 0 and "Non-2xx" not in out, out


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def field(name, value):
    """A literal without indexing and without Huffman (RFC 7541 §6.2.2)."""
    name, value = name.encode(), value.encode()
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def stalled_http2(port, name, streams):
    """A connection whose streams ask, and take nothing: their windows are 0."""
    client = socket.create_connection(("127.0.0.1", port))
    client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, struct.pack(">HI", 4, 0)) + frame(4, 1, 0))
    for number in range(streams):
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", f"/big/{name}-{number}")]
        head = b"".join(field(*pair) for pair in fields)
        client.sendall(frame(1, 5, 1 + 2 * number, head))
    return client


def peak_rss(site, calls):
    """The most until some seconds after the last call of upstream."""
    peak, end = 0, time.monotonic() + 10
    while time.monotonic() < end:
        peak = max(peak, site.rss())
        time.sleep(0.25)
    assert site.upstream.calls["GET big"] == calls
    return peak


def stalled():
    """600 streams, then 300 connections of HTTP/1.1, that take nothing of 2 MB: memory stays within its bound."""
    bound = 256 + 64
    with Site() as site:
        clients = [stalled_http2(site.port, name, 100) for name in range(6)]
        peak = peak_rss(site, 600)
        print(f"stalled: 600 streams of HTTP/2: {peak:.0f} MiB at most")
        assert peak < bound
        del clients
    with Site() as site:
        clients = []
        for number in range(300):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", site.port))
            client.sendall(f"GET /big/{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
            clients.append(client)
        peak = peak_rss(site, 300)
        print(f"stalled: 300 connections of HTTP/1.1: {peak:.0f} MiB at most")
        assert peak < bound


def aborted():
    """1,100 requests that nothing answers, each given up at once: others get their answers."""
    with Site() as site:
        for number in range(1100):
            with socket.create_connection(("127.0.0.1", site.port)) as client:
                client.sendall(f"GET /hang/{number} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        begun = time.monotonic()
        for number in range(20):
            site.get(f"/page/{number}")
        print(f"aborted: 1,100 requests given up, 20 others answered in {time.monotonic() - begun:.1f} s")


def posts():
    """120,000 POSTs to paths that nobody stored: the pages stay, and none is stale after its own POST."""
    pages = 1000
    with Site() as site:
        async def talk(requests):
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            answers = []
            for request in requests:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)[1])
                answers.append((head, await reader.readexactly(length)))
            writer.close()
            return answers

        def ask(method, path):
            return f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n".encode()

        def get(path):
            return f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode()

        async def attack():
            await asyncio.gather(*(talk(ask("POST", f"/x/{k}-{n}") for n in range(15000)) for k in range(8)))

        asyncio.run(talk(get(f"/page/{n}") for n in range(pages)))
        asyncio.run(attack())
        answers = asyncio.run(talk(get(f"/page/{n}") for n in range(pages)))
        hits = sum(b"tagcache; hit" in head for head, _ in answers)
        stale = 0
        for n in range(200):
            path = f"/page/{n}"
            one, _, two = asyncio.run(talk([get(path), ask("POST", path), get(path)]))
            stale += one[1] == two[1]
        print(f"posts: after 120,000 POSTs {hits} of {pages} pages hit, {stale} stale after their own")
        assert hits >= pages * 95 // 100 and stale == 0


CASES = {case.__name__: case for case in [herd, strict, stalled, aborted, posts]}

if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    for name in sys.argv[1:] or CASES:
        CASES[name]()
