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
    """/slow/S answers after S seconds, /hang never, /big/* with 1 MB that may be stored, others at once."""

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
                body = b"x" * 1_000_000 if kind == "big" else f"{path} {self.calls.total()}".encode()
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
    """500 clients of one answer that takes 12 s: one call, and one more beside it as it takes long."""
    with Site() as site:
        async def ask_all():
            return await asyncio.gather(*(site.ask("/slow/12") for _ in range(500)))

        answers = asyncio.run(ask_all())
        calls = site.upstream.calls["GET slow"]
        print(f"herd: 500 clients, an answer of 12 s: {calls} calls")
        assert calls <= 2 and all(b" 200 " in answer[:20] for answer in answers)


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


CASES = {case.__name__: case for case in [herd, strict]}

if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    for name in sys.argv[1:] or CASES:
        CASES[name]()
