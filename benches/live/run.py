#!/usr/bin/env python3
"""What live updates cost: 10,000 clients of server-sent events on one process, beside servers that do only that.

    make bench-live                               # all of it: some ten minutes
    benches/live/run.py --only clients            # one part: clients or slow
    benches/live/run.py --quick                   # small numbers, to see that it works

Prints a table of targets and writes target/bench-live.json; `make bench-report` puts it into benches/README.md.
Nothing fails because of time.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches"))
import machine  # noqa: E402
import tables  # noqa: E402

PARTS = ["clients", "slow"]
KINDS = ["tagcache", "axum", "hyper"]
TICK = os.sysconf("SC_CLK_TCK")
# Of an update that fills the buffers of who does not read.
LARGE = 7_500


def build():
    flags = os.environ.get("CARGO_FLAGS", "").split()
    command = ["cargo", "build", *flags, "--release", "--features", "live", "--bench", "live"]
    output = subprocess.run(command + ["--message-format", "json-render-diagnostics"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    for line in output.stdout.decode().splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "live" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo does not say where the program is")


def unsent_bytes(server, client):
    """What waits in the sockets of `server` for those of the address `client`."""
    port, octets = int(server.rpartition(":")[2]), reversed(client.split("."))
    end, peer = f":{port:04X}", "".join(f"{int(octet):02X}" for octet in octets)
    lines = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    sockets = [line.split() for line in lines]
    return sum(int(one[4].split(":")[0], 16) for one in sockets if one[1].endswith(end) and one[2].startswith(peer))


class Process:
    """One process of the program, until the block ends."""

    def __init__(self, program, *arguments):
        self.child = subprocess.Popen([program, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()

    def said(self):
        line = self.child.stdout.readline().strip()
        if not line:
            sys.exit(f"a process of the bench ended: {self.child.args[1:]}")
        return line

    def ask(self, line):
        self.child.stdin.write(f"{line}\n")
        self.child.stdin.flush()
        return self.said()

    def resident(self):
        """Bytes."""
        for line in pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024

    def cpu(self):
        """Seconds, of all threads, in user space and in the kernel."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK


class Live:
    def __init__(self, arguments):
        self.program, quick = build(), arguments.quick
        self.all, self.some, self.stuck = (500, 100, 10) if quick else (10_000, 1_000, 100)
        self.rounds, self.updates = (2, 10) if quick else (arguments.rounds, 50)
        # What an update of each kind is padded with, so that all are equally long.
        self.padding = dict.fromkeys(KINDS, 60)
        lengths = {kind: self.length(kind) for kind in KINDS}
        for kind in KINDS:
            self.padding[kind] += max(lengths.values()) - lengths[kind]

    def process(self, *arguments):
        return Process(self.program, *arguments)

    def server(self, kind):
        server = self.process("server", kind)
        return server, server.said()

    def length(self, kind):
        """Bytes of an update, as a client reads it."""
        server, address = self.server(kind)
        with server, self.process("load", address, "127.0.0.2", 1) as load:
            load.said()
            return self.tell(server, [load], self.padding[kind])["bytes"]

    def tell(self, server, loads, padding):
        """Tells one update, and waits until all clients of `loads` have it. Times are in ms since it was told."""
        told = int(server.ask(padding))
        heard = [[int(number) for number in load.said().split()] for load in loads]
        since = lambda column: max((one[column] - told) / 1e6 for one in heard)  # noqa: E731
        return {"bytes": sum(one[0] for one in heard), "p50": since(1), "p99": since(2), "last": since(3)}

    # ---- 10,000 clients -----------------------------------------------------------------------------------

    def clients(self):
        """Of each round of each server: bytes of memory a client, ms of CPU an update, ms until the last client has it."""
        found = {kind: [] for kind in KINDS}
        for number in range(self.rounds):
            # Not always after the same one.
            for kind in KINDS[number % 3 :] + KINDS[: number % 3]:
                print("#", kind, number + 1, file=sys.stderr)
                found[kind].append(self.crowd(kind))
        return {"clients": self.all, "updates": self.updates, "rounds": found}

    def crowd(self, kind):
        server, address = self.server(kind)
        half = self.all // 2
        with server:
            before = server.resident()
            with self.process("load", address, "127.0.0.2", half) as one, self.process("load", address, "127.0.0.3", half) as other:
                loads = [one, other]
                for load in loads:
                    load.said()
                time.sleep(1)
                idle = (server.resident() - before) / self.all
                for _ in range(5):
                    self.tell(server, loads, self.padding[kind])
                cpu, heard = server.cpu(), []
                for _ in range(self.updates):
                    heard.append(self.tell(server, loads, self.padding[kind]))
                    # What the server does after the last write is of this update.
                    time.sleep(0.02)
                cpu = (server.cpu() - cpu) * 1e3 / self.updates
                last = [one["last"] for one in heard]
                return {
                    "idle": round(idle),
                    "told": round((server.resident() - before) / self.all),
                    "cpu": cpu,
                    "last": round(statistics.median(last), 1),
                    "worst": round(max(last), 1),
                    "bytes": heard[0]["bytes"] / self.all,
                }

    # ---- slow readers -------------------------------------------------------------------------------------

    def slow(self):
        """Of each round: ms until 99 % of the clients have an update, without those that do not read, and with them."""
        found = []
        for number in range(self.rounds):
            print("# slow readers", number + 1, file=sys.stderr)
            found.append(self.beside_stuck())
        return {"clients": self.some, "slow": self.stuck, "updates": 6 * self.updates, "rounds": found}

    def beside_stuck(self):
        """Two servers, of which one has those that do not read as well, tell in turns: the machine is not equally fast for long."""
        with contextlib.ExitStack() as processes:
            pairs = []
            for _ in range(2):
                server, address = self.server("tagcache")
                processes.enter_context(server)
                load = processes.enter_context(self.process("load", address, "127.0.0.2", self.some))
                load.said()
                pairs.append((server, load))
            # Those of the last one.
            processes.enter_context(self.process("stuck", address, "127.0.0.3", self.stuck)).said()
            self.fill(pairs, address)
            heard = [[], []]
            for _ in range(6 * self.updates):
                for (server, load), times in zip(pairs, heard):
                    times.append(self.tell(server, [load], self.padding["tagcache"])["p99"])
                    time.sleep(0.005)
            return [round(statistics.median(times), 3) for times in heard]

    def fill(self, pairs, address):
        """Tells until nothing more goes into the sockets of those that do not read."""
        unsent, before = 0, -1
        while unsent > before:
            for _ in range(50):
                for server, load in pairs:
                    self.tell(server, [load], LARGE)
            before, unsent = unsent, unsent_bytes(address, "127.0.0.3")
        print(f"# {unsent:,} bytes wait for those that do not read", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    # A socket for each client, in the server too.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most != resource.RLIM_INFINITY and most < 11_000:
        sys.exit(f"at most {most} files may be open: see `ulimit -Hn`")
    output = ROOT / f"target/bench-live{'-quick' if arguments.quick else ''}.json"
    live = Live(arguments)
    for part in arguments.only.split(","):
        before = machine.load()
        found = getattr(live, part)()
        results = json.loads(output.read_text()) if output.exists() else {}
        results[part] = {"machine": machine.describe(), "load": [before, machine.load()], **found}
        output.parent.mkdir(exist_ok=True)
        output.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(tables.live(results)))


if __name__ == "__main__":
    main()
