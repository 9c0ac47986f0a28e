"""Tables in Markdown from what the benches measured (target/bench-*.json)."""

import statistics

OURS = "tagcache"


def row(*cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def head(*names):
    """The first column is text, the others are numbers."""
    return [row(*names), "|---|" + "---:|" * (len(names) - 1)]


def circumstances(part):
    machine, load = part["machine"], part["load"]
    return (
        f"{machine['processor']}, {machine['cores']} cores; rustc {machine['rustc']}; commit {machine['commit']}; "
        f"load {load[0]} before and {load[1]} after."
    )


# ---- hits -------------------------------------------------------------------------------------------------


def medians(rounds):
    return [statistics.median(column) for column in zip(*rounds)]


def ratio(rounds, base, column):
    """The median of the ratios within rounds."""
    return statistics.median(one[column] / of[column] for one, of in zip(rounds, base))


def compared(rows, base):
    lines = head("server", "requests/s", f"of {base}", "p99 ms", "CPU µs/request", f"of {base}", "spread of CPU")
    for name, rounds in rows.items():
        rate, p99, cpu = medians(rounds)
        each = [one[2] for one in rounds]
        spread = (max(each) - min(each)) / cpu * 100
        of = [ratio(rounds, rows[base], column) for column in (0, 2)]
        lines.append(row(name, f"{rate:,.0f}", f"{of[0]:.2f}", f"{p99:.2f}", f"{cpu:.1f}", f"{of[1]:.2f}", f"{spread:.0f} %"))
    return lines


BASES = {"hits": "bare hyper", "strict": "two GETs"}


def comparison(results, part):
    lines = []
    for size, rows in results[part]["rows"].items():
        lines += ["", f"{size}:", "", *compared(rows, BASES[part])]
    settings = results[part]["settings"]
    how = f"{settings['rounds']} rounds of {settings['seconds']} s, {settings['connections']} connections. "
    return [how + circumstances(results[part]), *lines]


def herd(results):
    lines = head("server", "calls of the upstream", "p50 ms", "p99 ms")
    for name, found in results["herd"]["rows"].items():
        if "failed" in found:
            lines.append(row(name, "failed", "", ""))
        else:
            lines.append(row(name, f"{found['calls']:g}", f"{found['p50_ms']:.0f}", f"{found['p99_ms']:.0f}"))
    return [circumstances(results["herd"]), "", *lines]


def memory(results):
    part = results["memory"]
    streamed, idle = part["streamed"], part["idle"]
    rate = streamed["bytes"] / streamed["seconds"] / 1e9
    each = (idle["after"] - idle["before"]) / idle["connections"]
    return [
        f"{streamed['bytes'] / 1e9:.0f} GB through the proxy, at {rate:.1f} GB/s: RSS {streamed['before'] / 1e6:.1f} MB before "
        f"and at most {streamed['most'] / 1e6:.1f} MB. {idle['connections']:,} idle connections after a request each: "
        f"{idle['after'] / 1e6:.1f} MB, {each / 1e3:.1f} KB each."
    ]


def http_targets(results):
    """What issue and README promise of hits."""
    lines = head("what", "target", "reached", "")
    if "hits" in results:
        for size, rows in results["hits"]["rows"].items():
            lines += hit_targets(size, rows)
    if "strict" in results:
        for size, rows in results["strict"]["rows"].items():
            lines += strict_targets(size, rows)
    if "herd" in results:
        lines += herd_targets(results["herd"]["rows"])
    return lines


def at_least(what, value, least):
    return row(what, f"≥ {least:.2f}", f"{value:.2f}", verdict(value >= least))


def at_most(what, value, most, form="{:.2f}"):
    return row(what, f"≤ {form.format(most)}", form.format(value), verdict(value <= most))


def verdict(good):
    return "reached" if good else "**not reached**"


def hit_targets(size, rows):
    bare, small = rows["bare hyper"], size == "1 KB"
    lines = []
    if small:
        added = statistics.median(one[2] - of[2] for one, of in zip(rows["layer"], bare))
        lines.append(at_least(f"layer, {size}: throughput of the bare server's", ratio(rows["layer"], bare, 0), 0.90))
        lines.append(at_most(f"layer, {size}: µs of CPU added", added, 1.0))
        lines.append(at_least(f"proxy, {size}: throughput of the bare server's", ratio(rows[OURS], bare, 0), 0.88))
    else:
        lines.append(at_most(f"layer, {size}: CPU of the bare server's", ratio(rows["layer"], bare, 2), 1.05))
        lines.append(at_most(f"proxy, {size}: CPU of the bare server's", ratio(rows[OURS], bare, 2), 1.05))
    for peer, least in (("nginx tuned", 1.1), ("Varnish", 2.0), ("tower-http-cache", 1.3)):
        if small and peer in rows:
            lines.append(at_least(f"proxy, {size}: throughput of {peer}'s", ratio(rows[OURS], rows[peer], 0), least))
    return lines


def strict_targets(size, rows):
    lines = []
    for name in ("layer, strict", "tagcache, strict"):
        cpu = ratio(rows[name], rows["two GETs"], 2)
        lines.append(at_most(f"{name}, {size}: CPU of a handler's with two `GET`s", cpu, 1.15))
    for peer in ("hitbox on Redis", "tower-http-cache on Redis"):
        if peer in rows:
            rate = ratio(rows["layer, strict"], rows[peer], 0)
            lines.append(at_least(f"layer, strict, {size}: throughput of {peer}'s", rate, 1.1))
    return lines


def herd_targets(rows):
    good = {name: found for name, found in rows.items() if "failed" not in found}
    peers = {name: found["p99_ms"] for name, found in good.items() if name not in ("layer", OURS) and found["calls"] <= 1.01}
    if not peers:
        return []
    best = min(peers, key=peers.get)
    return [
        at_most(f"{name}, 1,000 misses of one key: p99 ms ({best}'s)", good[name]["p99_ms"], peers[best], "{:.0f}")
        for name in ("layer", OURS)
        if name in good
    ]


def http(results):
    lines = []
    for part in ("hits", "strict"):
        if part in results:
            lines += [f"\n{part}", "", *comparison(results, part)]
    if "herd" in results:
        lines += ["\nherd", "", *herd(results)]
    if "memory" in results:
        lines += ["", *memory(results)]
    return lines + ["", *http_targets(results)]


# ---- scale ------------------------------------------------------------------------------------------------

AXES = {"entries": "entries", "rules": "rules", "tags": "tags"}


def curve(results, kind, axis, value, spread=False):
    """Points (x, cost without what making the request costs) along one axis, all else at its least.

    Of entries: a thousand of them asked for, or all (`spread`)."""
    found = [one for one in results if one["kind"] == kind]
    if not found:
        return []
    cost = in_nanoseconds(results) if value == "relative" else beside_the_request(results)
    least = min(one["entries"] for one in found)
    points = {}
    for one in found:
        others = [one[name] == (least if name == "entries" else 1) for name in AXES if name != axis]
        asked_for = one["entries"] if spread or axis != "entries" or kind == "strict" else least
        if all(others) and one["hot"] == asked_for:
            points[one[axis]] = cost(one)
    return sorted(points.items())


def in_nanoseconds(results):
    """Each was measured in parts of what making the request costs: all in the best of those."""
    request = min(one["request_ns"] for one in results)
    return lambda one: one["relative"] * request


def beside_the_request(results):
    request = [one["instructions"] for one in results if one["kind"] == "none"][0]
    return lambda one: one["instructions"] - request


def growth_lines(results):
    """(what, points) of each curve there is."""
    lines = []
    for part, value, unit in (("instructions", "instructions", "instructions"), ("hits", "relative", "CPU")):
        if part not in results:
            continue
        of = results[part]["results"]
        for axis in AXES:
            for kind in ("near", "strict"):
                for spread in (False, True) if (axis, kind) == ("entries", "near") else (False,):
                    points = curve(of, kind, axis, value, spread)
                    if len(points) > 1:
                        lines.append({"axis": axis, "kind": kind, "unit": unit, "spread": spread, "points": points})
    return lines


def growth_name(line):
    asked = ", all asked for" if line["spread"] else ", 1,000 asked for" if line["axis"] == "entries" and line["kind"] == "near" else ""
    return f"{line['kind']} hit, {line['unit']}{asked}"


def growth(results):
    lines = []
    for axis in AXES:
        curves = [line for line in growth_lines(results) if line["axis"] == axis]
        if not curves:
            continue
        places = sorted({x for line in curves for x, _ in line["points"]})
        lines += ["", *head(axis, *(f"{x:,}" for x in places), "most/least")]
        for line in curves:
            points, form = dict(line["points"]), "{:,.0f}" if line["unit"] == "instructions" else "{:,.0f} ns"
            cells = [form.format(points[x]) if x in points else "" for x in places]
            lines.append(row(growth_name(line), *cells, f"{grown(line):.2f}"))
    return lines


def grown(line):
    """The dearest of the curve, in parts of its first point."""
    first = line["points"][0][1]
    return max(y for _, y in line["points"]) / first


def scale_targets(results):
    lines = head("what", "target", "reached", "")
    for line in growth_lines(results):
        first, last = line["points"][0][0], line["points"][-1][0]
        what = f"{growth_name(line)}, from {first:,} to {last:,} {line['axis']}"
        lines.append(at_most(what, grown(line), 1.3))
    for part, targets in (("storm", storm_targets), ("seen", seen_targets), ("herd", herd_scale), ("bytes", bytes_targets)):
        for found in results.get(part, {}).get("results", []):
            lines += targets(found)
    return lines


def storm_targets(found):
    kind, lines = found["kind"], []
    for name, mode in (("as many misses", "misses"), ("neither", "nothing")):
        other, storm = found[mode], found["purges"]
        what = f"{kind}, {found['entries']:,} entries, {found['rate']:,} purges/s against {name}"
        target = 0.9, 1.1
        lines.append(at_least(f"{what}: throughput", storm["requests"] / other["requests"], target[0]))
        lines.append(at_most(f"{what}: p50 of a hit", storm["p50_us"] / other["p50_us"], target[1]))
        lines.append(at_most(f"{what}: p99 of a hit", storm["p99_us"] / other["p99_us"], target[1]))
    memory = found["memory"]
    for name, values in (("resident", memory["resident"]), ("Redis", memory["redis"])):
        if values:
            # From the fifth on: the first fill what is bounded.
            lines.append(at_most(f"{kind}, {memory['events']:,} purges: {name} memory, last to first", values[-1] / values[len(values) // 5], 1.05))
    return lines


def seen_targets(found):
    return [
        at_most("purge seen by another process: p50 ms", found["p50_ms"], 1),
        at_most("purge seen by another process: p99 ms", found["p99_ms"], 10),
    ]


def herd_scale(found):
    what = f"{found['kind']}, {found['requests']:,} misses of one key, 100 ms upstream"
    return [
        at_most(f"{what}: calls", found["calls"], 1, "{:.0f}"),
        row(f"{what}: p50, p99", "", f"{found['p50_ms']:.1f} ms, {found['p99_ms']:.1f} ms", ""),
    ]


def bytes_targets(found):
    return [
        at_most("bytes beside the body, embedded", found["embedded"], 1536, "{:,.0f}"),
        at_most("bytes beside the body, near copy of what was filled", found["near_filled"], 1536, "{:,.0f}"),
        at_most("bytes beside the body, near copy of what was read", found["near_read"], 1536, "{:,.0f}"),
        at_most("bytes of the frame in Redis beside body, header and key", found["redis_frame"], 200, "{:,.0f}"),
        at_most("the same with what Redis itself needs for a key", found["redis"], 200, "{:,.0f}"),
    ]


# ---- live -------------------------------------------------------------------------------------------------

SERVERS = {"tagcache": "tower-tagcache, axum", "axum": "axum's `Sse`, axum", "hyper": "bare hyper"}


def live_crowd(part):
    lines = head(
        "server", "bytes/idle client", "of axum's", "after updates", "CPU ms/update", "of bare hyper", "last client ms", "slowest ms"
    )
    rounds = part["rounds"]
    for kind, name in SERVERS.items():
        typical = {column: statistics.median(one[column] for one in rounds[kind]) for column in rounds[kind][0]}
        lines.append(
            row(
                name,
                f"{typical['idle']:,.0f}",
                f"{ratio(rounds[kind], rounds['axum'], 'idle'):.2f}",
                f"{typical['told']:,.0f}",
                f"{typical['cpu']:.0f}",
                f"{ratio(rounds[kind], rounds['hyper'], 'cpu'):.2f}",
                f"{typical['last']:.0f}",
                f"{max(one['worst'] for one in rounds[kind]):.0f}",
            )
        )
    bytes_sent = statistics.median(one["bytes"] for one in rounds["tagcache"])
    how = f"{part['clients']:,} clients; {len(rounds['hyper'])} rounds of {part['updates']} updates of {bytes_sent:.0f} bytes. "
    return [how + circumstances(part), "", *lines]


def live_slow(part):
    alone, beside = medians(part["rounds"])
    return [
        f"{part['clients']:,} clients, {len(part['rounds'])} rounds of {part['updates']} updates in turns: 99 % of them have an update "
        f"after {alone:.1f} ms alone and {beside:.1f} ms beside {part['slow']} that do not read. {circumstances(part)}"
    ]


def live_targets(results):
    lines = head("what", "target", "reached", "")
    if "clients" in results:
        rounds = results["clients"]["rounds"]
        ours = rounds["tagcache"]
        last = statistics.median(one["last"] for one in ours)
        lines += [
            at_most("memory of an idle client: of axum's `Sse`", ratio(ours, rounds["axum"], "idle"), 1.15),
            at_most("CPU of an update to all: of bare hyper's", ratio(ours, rounds["hyper"], "cpu"), 1.3),
            at_most("ms until the last client has an update", last, 150, "{:.0f}"),
        ]
    if "slow" in results:
        changed = statistics.median(beside / alone for alone, beside in results["slow"]["rounds"])
        lines.append(row("p99 beside slow readers: of that without", "0.90 to 1.10", f"{changed:.2f}", verdict(0.9 <= changed <= 1.1)))
    return lines


def live(results):
    lines = []
    if "clients" in results:
        lines += live_crowd(results["clients"])
    if "slow" in results:
        lines += ["", *live_slow(results["slow"])]
    return [*lines, "", *live_targets(results)]


# ---- events -----------------------------------------------------------------------------------------------

# The least events a second.
RATES = {"near": 25_000, "near, announced": None, "far": 5_000, "far, announced": None}
COMMANDS = ["group", "acknowledgements", "purges", "log reads", "heartbeats and others"]


def events(results):
    if "machine" not in results:
        return []
    lines = [circumstances(results)]
    if RATES.keys() & results.keys():
        lines += ["", *head("a backlog of events, Redis", "target", "events/s", "")]
    for part, least in RATES.items():
        if part in results:
            target, reached = (f"≥ {least:,}", verdict(results[part] >= least)) if least else ("", "")
            lines.append(row(part, target, f"{results[part]:,.0f}", reached))
    if "trickle" not in results:
        return lines
    rows = results["trickle"]
    names = [f"{found['processes']} process{'es' if found['processes'] > 1 else ''}" for found in rows]
    lines += ["", *head(f"commands for each event, one each {results['pause_ms']} ms", *names)]
    for kind in COMMANDS:
        lines.append(row(kind, *(f"{found['commands'].get(kind, 0):.1f}" for found in rows)))
    lines.append(row("all", *(f"{sum(found['commands'].values()):.1f}" for found in rows)))
    first, last = (rows[place]["commands"]["group"] for place in (0, -1))
    return [*lines, "", *head("what", "target", "reached", ""), at_most(f"commands of the group, from 1 to {rows[-1]['processes']} processes", last / first, 1.25)]
