#!/usr/bin/env python3
"""Puts what the fault laboratory measured last into docs/faults.md, and draws docs/images/faults.svg.

    tests/faults/report.py DIRECTORY

DIRECTORY has a file for each row; what is missing there is taken from tests/faults/results.json, and what was used is kept there.
Between `<!-- NAME -->` and `<!-- end -->` the page is replaced; all else in it is written by hand. Ends with 1 if a row has a wrong or
stale answer, or an error that it must not have.
"""

import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benches"))

import machine
import plot

RESULTS = ROOT / "tests/faults/results.json"
PAGE = ROOT / "docs/faults.md"
PICTURE = ROOT / "docs/images/faults.svg"

GROUPS = {
    "Redis alone": "killed killed-persistent stopped slow narrow half-open flapping full no-clients flushed rolled-back restored client-kills rights",
    "Redis with a replica": "replica-lost promoted-behind split-brain split-brain-guarded",
    "Sentinel": "sentinel-killed sentinel-stopped sentinel-failover sentinel-replica-lost",
    "Cluster": "cluster-killed cluster-stopped cluster-slot-moved",
    "The upstream": "upstream-dead upstream-slow upstream-lying upstream-hanging",
    "Events and nodes": "consumer-killed clock-ahead clock-behind node-stopped",
}


def merged(directory):
    """Rows measured now over those that were kept, in the order of the groups."""
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": {}}
    new = sorted(pathlib.Path(directory).glob("*.json")) if directory else []
    for path in new:
        measured = json.loads(path.read_text())
        if path.stem == "soak":
            found["soak"] = measured
        else:
            found["rows"][path.stem] = measured
    if new:
        found["machine"] = machine.describe() | {"load": machine.load()}
    known = [name for names in GROUPS.values() for name in names.split()]
    unknown = sorted(set(found["rows"]) - set(known))
    assert not unknown, f"in no group: {unknown}"
    found["rows"] = {name: found["rows"][name] for name in known if name in found["rows"]}
    text = json.dumps(found, indent=1)
    text = re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda match: "[" + re.sub(r"\s+", " ", match[1]) + "]", text)
    RESULTS.write_text(text + "\n")
    return found


def groups(rows):
    for title, names in GROUPS.items():
        found = [rows[name] for name in names.split() if name in rows]
        if found:
            yield title, found


# ---- tables -----------------------------------------------------------------------------------------------


def ms(value):
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def times(found):
    return f"{ms(found['p50'])} / {ms(found['p99'])}"


def seconds(value):
    return "not at the end" if value is None else f"{value / 1000:.1f} s"


def during(row):
    """From the second second on, or all of a fault that was shorter."""
    return row["during"] if row["during"]["requests"] >= 100 else row["first_second"]


def back(row):
    hits = row["hits_back_ms"]
    return None if hits is None else max(hits, row["purges_back_ms"])


def table(rows):
    lines = [
        "| row | what happens | requests | wrong | stale | errors | before | during | after | hits before, during | back in |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        errors = f"{row['errors']}"
        if row["errors_by_upstream"]:
            errors += f" (and {row['errors_by_upstream']:,} of the upstream)"
        stale = f"{row['stale']}"
        if row["excused"]:
            stale += f" ({row['excused']:,} in the split)"
        what = row["what"] + (": " + "; ".join(row["notes"]) if row["notes"] else "")
        cells = [
            f"`{row['row']}`", what, f"{row['requests']:,}", row["wrong"], stale, errors,
            times(row["before"]), times(during(row)), times(row["after"]),
            f"{row['before']['hits'] * 100:.0f} %, {during(row)['hits'] * 100:.0f} %", seconds(back(row)),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def tables(found):
    for title, rows in groups(found["rows"]):
        yield f"### {title}"
        yield ""
        yield from table(rows)
        yield ""


def totals(found):
    rows = found["rows"].values()
    if not rows:
        yield "Not measured yet: `make faults`."
        return
    total = lambda name: sum(row[name] for row in rows)
    yield (
        f"{len(found['rows'])} rows, {total('requests'):,} requests, {total('purges'):,} purges: {total('wrong')} wrong answers, "
        f"{total('stale')} stale after a purge ({total('excused'):,} more in the split brain without a guard), "
        f"{total('errors')} client errors where the upstream lived."
    )


def picture(found):
    if found["rows"]:
        yield "![Each row: hits over time, p99 before, during and after the fault, and the counts that must be nought](images/faults.svg)"


def conditions(found):
    about = found.get("machine")
    if not about:
        return
    yield (
        f"{about['processor']}, {about['cores']} cores, Linux {about['kernel']}, rustc {about['rustc']}, commit {about['commit']}. "
        f"Clients, nodes, upstream and servers share these cores. Processes that wanted a core in the last minute of the run: {about['load']}."
    )


def must_hold(found):
    """What issue and promises ask of a Redis that is stopped for half a minute."""
    row = found["rows"].get("stopped")
    if not row:
        return
    added = row["during"]["p99"] - row["before"]["p99"]
    rows = [
        ("client errors", "0", row["errors"], row["errors"] == 0),
        ("p99 added, from the second second on", "< 1 ms", f"{added:.2f} ms", added < 1),
        ("hits back", "≤ 1.5 s", seconds(row["hits_back_ms"]), (row["hits_back_ms"] or 1e9) <= 1500 or row["hits_back_ms"] == 0),
        ("served afterwards, and purged meanwhile", "0", row["stale"], row["stale"] == 0),
    ]
    yield f"| Redis stopped for {row['fault_ms'] / 1000:.0f} s under {row['rate']:,} requests a second | wanted | measured | |"
    yield "|---|---:|---:|---|"
    for what, wanted, measured, held in rows:
        yield f"| {what} | {wanted} | {measured} | {'held' if held else '**not held**'} |"


def soak(found):
    row = found.get("soak")
    if not row:
        yield "Not measured yet."
        return
    yield (
        f"{row['requests']:,} requests, {row['faults']} faults in {row['rounds']} rounds: {row['wrong']} wrong, {row['stale']} stale. "
        "Each round ends with a look, when all is well again; the middle one of the first half of the rounds stands beside that of the second."
    )
    yield ""
    yield "| what | first half | second half |"
    yield "|---|---:|---:|"
    for one in row["sizes"]:
        yield f"| {one['what']} | {one['first']:,} | {one['second']:,} |"


# ---- picture ----------------------------------------------------------------------------------------------

LANE, TOP, NAMES, CURVE, TIMES = 34, 128, 186, 300, 230
# Parts of the width of a curve: before, during, after.
PARTS = (0.17, 0.58, 0.25)


def lane(picture, row, y):
    """One row: hits over time, then p99 before, during and after, then what must be nought."""
    x, height, base = 24 + NAMES, LANE - 12, y + LANE - 6
    picture.text(28, y + 20, row["row"], weight=600, size=12.5)
    curve, fault = row["curve"], row["fault_ms"]
    begin, step = curve["from_ms"], curve["step_ms"]
    end = begin + step * len(curve["hits"])
    edges = [begin, 0, max(fault, step), max(end, fault + step)]
    places = [0, PARTS[0], PARTS[0] + PARTS[1], 1]

    def at(time):
        for place in range(3):
            if time <= edges[place + 1] or place == 2:
                part = (time - edges[place]) / ((edges[place + 1] - edges[place]) or 1)
                return x + CURVE * (places[place] + min(max(part, 0), 1) * (places[place + 1] - places[place]))

    picture.box(at(0), base - height, at(edges[2]) - at(0), height, "limit-zone", round=0)
    points = [(at(begin + step * (number + 0.5)), base - height * hits) for number, hits in enumerate(curve["hits"])]
    if points:
        way = " ".join(f"L{px:.1f},{py:.1f}" for px, py in points)
        picture.parts.append(f'<path class="b" fill-opacity="0.22" d="M{points[0][0]:.1f},{base} {way} L{points[-1][0]:.1f},{base} Z"/>')
        picture.path(points, "b", width=1.5)
    for number, errors in enumerate(curve["errors"]):
        if errors:
            px = at(begin + step * (number + 0.5))
            picture.line(px, base - height, px, base - height + 5, kind="a", width=2)
    picture.line(x, base, x + CURVE, base, kind="grid")
    # p99
    left = x + CURVE + 46
    values = [row["before"]["p99"], during(row)["p99"], row["after"]["p99"]]
    placed = [left + at_log(value) * TIMES if value else None for value in values]
    middle = base - height / 2
    known = [px for px in placed if px is not None]
    picture.line(min(known), middle, max(known), middle, kind="peer", width=2)
    for px, kind in zip(placed, ("base", "ours", "d")):
        if px is not None:
            picture.dot(px, middle, kind)
    bad = row["wrong"] + row["stale"] + row["errors"]
    told = f"{row['wrong']} · {row['stale']} · {row['errors']}"
    picture.text(left + TIMES + 56, y + 20, told, kind="ours" if bad else "limit", weight=600, anchor="middle", size=12.5)


# Milliseconds at the ends of the scale.
LEAST, MOST = 0.1, 1000


def at_log(value):
    value = min(max(value, LEAST), MOST)
    return math.log10(value / LEAST) / math.log10(MOST / LEAST)


def draw(found):
    shown = list(groups(found["rows"]))
    if not shown:
        return
    height = TOP + sum(26 + LANE * len(rows) for _, rows in shown) + 70
    subtitle = "hits over time (the fault is shaded), p99 of all requests, and what must be nought"
    picture = plot.Picture(940, height, "What clients see while things break", subtitle)
    x, left = 24 + NAMES, 24 + NAMES + CURVE + 46
    picture.text(x, 96, "hits, 0 to 100 %", kind="faint", size=12)
    picture.text(x + CURVE * (PARTS[0] + PARTS[1] / 2), 114, "fault", kind="faint", size=12, anchor="middle")
    picture.text(x, 114, "before", kind="faint", size=12)
    picture.text(x + CURVE, 114, "after", kind="faint", size=12, anchor="end")
    picture.text(left, 96, "p99", kind="faint", size=12)
    place = left + 34
    for kind, name in (("base", "before"), ("ours", "during"), ("d", "after")):
        picture.dot(place, 92, kind)
        picture.text(place + 8, 96, name, kind="faint", size=12)
        place += 66
    picture.text(left + TIMES + 56, 96, "wrong, stale,", kind="faint", size=12, anchor="middle")
    picture.text(left + TIMES + 56, 114, "errors", kind="faint", size=12, anchor="middle")
    bottom = height - 60
    for value, name in ((0.1, "0.1"), (1, "1"), (10, "10"), (100, "100 ms"), (1000, "1 s")):
        px = left + at_log(value) * TIMES
        picture.line(px, TOP - 8, px, bottom)
        picture.text(px, bottom + 18, name, kind="faint", size=12, anchor="middle")
    y = TOP
    for title, rows in shown:
        picture.text(28, y + 16, title, kind="faint", size=12, weight=600, halo=True)
        y += 26
        for row in rows:
            lane(picture, row, y)
            y += LANE
    picture.text(28, height - 14, "Errors that the upstream itself caused are marks at the top of a curve, and are not counted.", kind="faint", size=12)
    picture.parts.insert(0, zone())
    picture.write(PICTURE)


def zone():
    """The shade behind a fault, on light and on dark pages."""
    return "<style>.limit-zone{fill:#fbe9df} @media (prefers-color-scheme: dark){.limit-zone{fill:#33231b}}</style>"


def main():
    found = merged(sys.argv[1] if len(sys.argv) > 1 else None)
    draw(found)
    text = PAGE.read_text()
    parts = {"totals": totals, "picture": picture, "must-hold": must_hold, "conditions": conditions, "tables": tables, "soak": soak}
    for name, lines in parts.items():
        begin = f"<!-- {name} -->"
        new = "\n".join([begin, *lines(found)]).rstrip() + "\n<!-- end -->"
        text, count = re.subn(rf"{begin}\n.*?<!-- end -->", lambda _: new, text, flags=re.DOTALL)
        assert count, f"no place for {name}"
    PAGE.write_text(text)
    bad = [row["row"] for row in found["rows"].values() if row["wrong"] or row["stale"] or row["errors"]]
    if bad:
        sys.exit(f"wrong, stale or errors: {', '.join(bad)}")


if __name__ == "__main__":
    main()
