#!/usr/bin/env python3
"""Puts what was measured last into benches/README.md, and draws benches/plots/.

    make bench-report

Takes target/bench-http.json, bench-scale.json, bench-live.json and bench-events.json where they are, and benches/results/ for the parts that
they lack; what it used is kept there. Between `<!-- NAME -->` and `<!-- end -->` the README is replaced; all
else in it is written by hand. The tables of instructions come from benches/instructions.baseline.
"""

import json
import pathlib
import re

import plot
import tables

BENCHES = pathlib.Path(__file__).resolve().parent
README = BENCHES / "README.md"
RESULTS = BENCHES / "results"


def merged(name):
    """Parts measured here over those that were committed."""
    found = {}
    for path in (RESULTS / f"{name}.json", BENCHES.parent / f"target/bench-{name}.json"):
        if path.exists():
            found |= json.loads(path.read_text())
    if found:
        RESULTS.mkdir(exist_ok=True)
        text = json.dumps(found, indent=1)
        # Short lists on one line, or each round of each server takes five.
        text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
        (RESULTS / f"{name}.json").write_text(text + "\n")
    return found


def instructions():
    """The baseline as a table, with what is added to a case's own parts."""
    without = {"bare": "request", "unmatched": "bare", "hit": "request", "near_hit": "request"}
    lines = (BENCHES / "instructions.baseline").read_text().splitlines()
    counts = {name: (int(total), int(heap)) for name, total, heap in (line.split() for line in lines if not line.startswith("#"))}
    table = tables.head("case", "instructions", "added", "allocations", "added")
    for name, (total, heap) in counts.items():
        less = counts.get(without.get(name), (0, 0))
        table.append(tables.row(f"`{name}`", f"{total:,}", f"{total - less[0]:,}", heap, heap - less[1]))
    return [lines[1].removeprefix("# ") + ":", "", *table]


def sections(http, scale, live, events):
    yield "instructions", instructions()
    for part in ("hits", "strict"):
        if part in http:
            yield part, tables.comparison(http, part)
    if "herd" in http:
        yield "herd", tables.herd(http)
    if "memory" in http:
        yield "memory", tables.memory(http)
    yield "http-targets", tables.http_targets(http)
    yield "scale-targets", tables.scale_targets(scale)
    yield "growth", tables.growth(scale)
    yield "live", tables.live(live)
    yield "events", tables.events(events)


def main():
    http, scale, live, events = merged("http"), merged("scale"), merged("live"), merged("events")
    plot.draw(http, scale, BENCHES / "plots")
    text = README.read_text()
    for name, lines in sections(http, scale, live, events):
        begin = f"<!-- {name} -->"
        new, count = re.subn(rf"{begin}\n.*?<!-- end -->", lambda _: "\n".join([begin, *lines, "<!-- end -->"]), text, flags=re.DOTALL)
        if not count:
            print(f"no place for {name} in {README}")
        text = new
    README.write_text(text)


if __name__ == "__main__":
    main()
