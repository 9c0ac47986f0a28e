#!/usr/bin/env python3
"""What `run.py` cannot time: instructions of a request outside the kernel, and hits that share a read of the log.

    tagcache/benches/http/counts.py                # after `make bench-http` or what it builds; needs valgrind, wrk, redis-server

Prints both; what callgrind wrote stays in target/callgrind.NAME.out, for `callgrind_annotate --inclusive=yes`.
"""

import argparse
import re
import signal
import subprocess
import tempfile

import run

SIZE = 1024


def load(port, connections, seconds):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}{run.TARGET}"]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(re.search(r"(\d+) requests in", report)[1])


def instructions(bench, name, command):
    """Of one request, among those of 32 connections."""
    output = run.ROOT / f"target/callgrind.{name}.out"
    tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={output}"]
    server = bench.start(name, [*tool, *command])
    load(server.port, 32, 1)
    control = ["callgrind_control", "-i"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True}
    subprocess.run([*control, "on", str(server.process.pid)], **quiet)
    requests = load(server.port, 32, 4)
    subprocess.run([*control, "off", str(server.process.pid)], **quiet)
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(60)
    log = next(bench.work.glob(f"{name}-{server.port}.log")).read_text()
    counted = int(re.search(r"Collected : (\d+)", log)[1])
    print(f"{name}: {counted / requests:,.0f} instructions")


def shared_reads(bench):
    url = bench.redis()
    server = bench.layered("layer, strict", SIZE, url, "strict")
    for _ in range(3):
        bench.fetch(server.port, SIZE)

    def reads():
        stats = subprocess.run(["redis-cli", "-u", url, "info", "commandstats"], capture_output=True, text=True, check=True)
        return int(re.search(r"cmdstat_xrevrange:calls=(\d+)", stats.stdout)[1])

    for connections in (1, 8, 32, 128):
        before = reads()
        hits = load(server.port, connections, 2)
        print(f"{connections} connections: {hits / (reads() - before):.1f} hits for each read of the log's tip")


def main():
    arguments = argparse.Namespace(server_core=0, client_core=1, tagcache=None)
    with tempfile.TemporaryDirectory() as work:
        bench = run.Bench(arguments, work)
        origin = bench.start("origin", [bench.tool, "bare", "127.0.0.1:PORT", SIZE], core=1)
        servers = {
            "bare": [bench.tool, "bare", "127.0.0.1:PORT", SIZE],
            "layer": [bench.tool, "layer", "127.0.0.1:PORT", SIZE, 0],
            "proxy": [bench.tool, "proxy", "127.0.0.1:PORT", f"http://127.0.0.1:{origin.port}"],
        }
        for kind in ("tower-http-cache", "hitbox") if bench.peers else ():
            servers[kind] = [bench.peers, kind, "127.0.0.1:PORT", SIZE, 0]
        try:
            for name, command in servers.items():
                instructions(bench, name, command)
            shared_reads(bench)
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
