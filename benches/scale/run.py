#!/usr/bin/env python3
"""What grows, and what must not: builds and runs the parts of `benches/scale/`, one process each.

    make bench-scale                              # all of it: some twenty minutes, 4 GB of memory
    benches/scale/run.py --only seen,herd         # some parts: hits, instructions, storm, seen, herd, bytes
    benches/scale/run.py --quick                  # small numbers, to see that it works

Prints a table of targets and writes target/bench-scale.json (parts that did not run are kept from before);
`make bench-report` makes tables and plots of it. Nothing fails because of time.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches"))
import machine  # noqa: E402

OUTPUT = ROOT / "target/bench-scale.json"
PARTS = ["hits", "instructions", "storm", "seen", "herd", "bytes"]
ENTRIES = [1_000, 10_000, 100_000, 1_000_000]
RULES = [1, 10, 100, 500]
TAGS = [1, 2, 4, 8, 16, 32]
# Hits that callgrind counts.
COUNTED = {"near": 2_000, "strict": 2_000, "none": 2_000}


def build():
    command = ["cargo", "build", *os.environ.get("CARGO_FLAGS", "").split(), "--release", "--bench", "scale"]
    output = subprocess.run(command + ["--message-format", "json-render-diagnostics"], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    for line in output.stdout.decode().splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "scale" and message.get("executable"):
            return message["executable"]
    sys.exit("cargo does not say where the program is")


def points(kind, entries):
    """The settings of all curves of a kind: entries, rules, tags, entries that are asked for."""
    few = entries[0]
    curves = [(n, 1, 1, few) for n in entries] + [(n, 1, 1, n) for n in entries[1:]]
    curves += [(few, rules, 1, few) for rules in RULES[1:]] + [(few, 1, tags, few) for tags in TAGS[1:]]
    # What is asked for of Redis is spread over all of it as it is.
    return [(kind, *curve) for curve in curves if kind == "near" or curve[0] == curve[3]]


class Scale:
    def __init__(self, arguments):
        self.quick, self.program = arguments.quick, build()
        self.entries = [100, 1_000, 10_000] if self.quick else ENTRIES

    def part(self, *arguments):
        print("#", *arguments, file=sys.stderr)
        command = [self.program, *map(str, arguments)]
        output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
        found = json.loads(output.stdout)
        print(json.dumps(found), file=sys.stderr)
        return found

    def hits(self):
        wanted = points("near", self.entries) + points("strict", self.entries)
        return [self.part("hits", *point, 0) for point in wanted]

    def instructions(self):
        """The same curves in instructions, which what else the machine does leaves alone."""
        tools = {"valgrind": "valgrind", "callgrind_control": "valgrind"}
        if not all(shutil.which(tool) for tool in tools):
            print("valgrind is missing: no instruction counts", file=sys.stderr)
            return []
        # Which entries are asked for is nothing that instructions tell.
        near = [point for point in points("near", self.entries) if point[4] == self.entries[0]]
        strict = points("strict", self.entries[:3])
        return [self.counted(*point) for point in [("none", 1, 1, 1, 1)] + near + strict]

    def counted(self, kind, *point):
        hits = COUNTED[kind]
        with tempfile.TemporaryDirectory() as work:
            tool = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={work}/out"]
            command = [*tool, self.program, "hits", kind, *map(str, point), str(hits)]
            print("#", *command[4:], file=sys.stderr)
            with open(f"{work}/log", "w+") as log:
                process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
                assert process.stdout.readline() == b"ready\n", "it does not start"
                subprocess.run(["callgrind_control", "-i", "on", str(process.pid)], stdout=subprocess.DEVNULL, check=True)
                found = json.loads(process.communicate(b"go\n")[0])
                log.seek(0)
                collected = re.search(r"Collected : (\d+)", log.read())
        found["instructions"] = int(collected[1]) / hits
        found["part"] = "instructions"
        print(json.dumps(found), file=sys.stderr)
        return found

    def storm(self):
        size = (10_000, 1_000, 1_000, 1, 1, 20_000) if self.quick else (1_000_000, 100_000, 1_000, 3, 7, 3_600_000)
        return [self.part("storm", kind, *size) for kind in ("embedded", "redis")]

    def seen(self):
        return [self.part("seen", 100 if self.quick else 2_000)]

    def herd(self):
        return [self.part("herd", kind, 1_000, 3 if self.quick else 20) for kind in ("embedded", "redis")]

    def bytes(self):
        return [self.part("bytes", 1_000 if self.quick else 100_000)]


def load(path=OUTPUT):
    return json.loads(path.read_text()) if path.exists() else {}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    output = ROOT / "target/bench-scale-quick.json" if arguments.quick else OUTPUT
    scale = Scale(arguments)
    for part in arguments.only.split(","):
        before = machine.load()
        found = getattr(scale, part)()
        results = load(output)
        results[part] = {"machine": machine.describe(), "load": [before, machine.load()], "results": found}
        output.write_text(json.dumps(results, indent=1) + "\n")
    import tables

    print("\n".join(tables.scale_targets(load(output))))


if __name__ == "__main__":
    main()
