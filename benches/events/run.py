#!/usr/bin/env python3
"""What events cost: a backlog with Redis here and 40 ms away, and commands for each event at a trickle.

    make bench-events                             # all of it: two minutes
    benches/events/run.py --only trickle          # one part: near, far, trickle; "far, announced"

Prints a table and writes target/bench-events.json; `make bench-report` puts it into benches/README.md.
Nothing fails because of time.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benches"))
import machine  # noqa: E402
import tables  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="a part")
    arguments = parser.parse_args()
    flags = os.environ.get("CARGO_FLAGS", "").split()
    command = ["cargo", "bench", *flags, "--bench", "events", "--", *arguments.only]
    before = machine.load()
    found = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    output = ROOT / "target/bench-events.json"
    results = json.loads(output.read_text()) if output.exists() else {}
    results |= found | {"machine": machine.describe(), "load": [before, machine.load()]}
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join(tables.events(results)))


if __name__ == "__main__":
    main()
