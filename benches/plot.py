"""Plots as SVG, without a library: bars and curves that can be read on light and on dark pages.

`benches/report.py` calls it with what the benches measured."""

import math
import pathlib

import tables

FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
# Name: colours on a light and on a dark page.
PALETTE = {
    "page": ("#ffffff", "#0f1419"),
    "edge": ("#dfe3e8", "#2a323c"),
    "text": ("#1b2530", "#e4e9ef"),
    "faint": ("#66727f", "#93a0ae"),
    "grid": ("#e9edf1", "#232b34"),
    "good": ("#e6f4ec", "#12281d"),
    "limit": ("#3f9d6b", "#56bd87"),
    "ours": ("#d9480f", "#ff8c4b"),
    "base": ("#44525f", "#b3bfcb"),
    "peer": ("#b9c3cd", "#4a5764"),
    "a": ("#d9480f", "#ff8c4b"),
    "b": ("#1c6fb8", "#5aa9ee"),
    "c": ("#6f42a6", "#b48be6"),
    "d": ("#2f8f83", "#5fc9bb"),
}


def style():
    def rules(which):
        for name, colours in PALETTE.items():
            colour = colours[which]
            yield f".{name}{{fill:{colour}}} .{name}-line{{stroke:{colour};fill:none}}"
        yield f".halo{{paint-order:stroke;stroke:{PALETTE['page'][which]};stroke-width:5px}}"

    light, dark = " ".join(rules(0)), " ".join(rules(1))
    return f"<style>text{{font-family:{FONT};font-size:13px}} {light} @media (prefers-color-scheme: dark) {{ {dark} }}</style>"


def escape(text):
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


class Picture:
    def __init__(self, width, height, title, subtitle):
        self.width, self.height = width, height
        self.parts = [f'<rect class="page" width="{width}" height="{height}" rx="10"/>']
        self.parts.append(f'<rect class="edge-line" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10"/>')
        self.text(28, 38, title, size=18, weight=650)
        self.text(28, 60, subtitle, kind="faint")
        self.title = title

    def text(self, x, y, text, kind="text", size=13, anchor="start", weight=400, halo=False):
        self.parts.append(
            f'<text class="{kind}{" halo" if halo else ""}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'style="font-size:{size}px;font-weight:{weight}">{escape(text)}</text>'
        )

    def line(self, x1, y1, x2, y2, kind="grid", width=1, dashes=""):
        more = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<line class="{kind}-line" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width}"{more}/>')

    def box(self, x, y, width, height, kind, round=3):
        self.parts.append(f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="{round}"/>')

    def path(self, points, kind, dashes="", width=2.25):
        way = " ".join(f"{'M' if n == 0 else 'L'}{x:.1f},{y:.1f}" for n, (x, y) in enumerate(points))
        more = f' stroke-dasharray="{dashes}"' if dashes else ""
        self.parts.append(f'<path class="{kind}-line" d="{way}" stroke-width="{width}" stroke-linejoin="round" stroke-linecap="round"{more}/>')

    def dot(self, x, y, kind):
        self.parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')

    def write(self, path):
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}" role="img" aria-label="{escape(self.title)}">'
        pathlib.Path(path).write_text("\n".join([head, style(), *self.parts, "</svg>", ""]))


# ---- bars: servers beside each other ----------------------------------------------------------------------

NAMES, BAR, STEP = 172, 18, 27


def bars(picture, x, y, width, heading, rows, form, best_is_long):
    """`rows` of (name, value, kind); the longest takes the width."""
    picture.text(x, y, heading, weight=600)
    # One that is far out must not make the others alike: its bar is cut.
    values = sorted(value for _, value, _ in rows)
    most = min(values[-1], 3 * values[len(values) // 2])
    for place, (name, value, kind) in enumerate(rows):
        top = y + 16 + place * STEP
        bold = 650 if kind == "ours" else 400
        length = (width - 62) * min(value / most, 1)
        if best_is_long is not None:
            picture.text(x + NAMES - 12, top + 14, name, anchor="end", weight=bold)
        picture.box(x + NAMES, top, length, BAR, kind)
        if value > most:
            picture.line(x + NAMES + length - 14, top + BAR + 3, x + NAMES + length - 8, top - 3, kind="page", width=3)
        picture.text(x + NAMES + length + 7, top + 14, form(value), kind="text" if kind == "ours" else "faint", weight=bold)


def kind_of(name, base):
    if name == base:
        return "base"
    return "ours" if name.startswith(("layer", "tagcache")) else "peer"


def servers(results, part, path, title):
    """Throughput and CPU of a hit, one row of both for each size."""
    sizes, base = results[part]["rows"], tables.BASES[part]
    rows = max(len(found) for found in sizes.values())
    height = 84 + len(sizes) * (rows * STEP + 56)
    subtitle = f"one core serves; {base} is the yardstick; medians of {results[part]['settings']['rounds']} interleaved rounds"
    picture = Picture(920, height, title, subtitle)
    for place, (size, found) in enumerate(sizes.items()):
        y = 98 + place * (rows * STEP + 56)
        medians = {name: tables.medians(rounds) for name, rounds in found.items()}
        order = sorted(medians, key=lambda name: -medians[name][0])
        rate = [(name, medians[name][0], kind_of(name, base)) for name in order]
        cpu = [(name, medians[name][2], kind_of(name, base)) for name in order]
        bars(picture, 20, y, 308, f"{size}: requests a second", rate, lambda value: f"{value:,.0f}", True)
        # In the order of the bars to the left, so that the names are said once.
        bars(picture, 520 - NAMES + 30, y, 330, "", cpu, lambda value: f"{value:.1f} µs", None)
        picture.text(550, y, f"{size}: CPU a request", weight=600)
    picture.write(path)


# ---- curves -----------------------------------------------------------------------------------------------


class Panel:
    """A place for curves: x by its logarithm, y from 0 or by its logarithm too."""

    def __init__(self, picture, x, y, width, height, xs, ys, log_y=False):
        self.picture, self.x, self.y, self.width, self.height = picture, x, y, width, height
        self.xs, self.ys, self.log_y = xs, ys, log_y

    def at_x(self, value):
        least, most = map(math.log10, self.xs)
        return self.x + self.width * (math.log10(value) - least) / ((most - least) or 1)

    def at_y(self, value):
        least, most = self.ys
        return self.y + self.height * (1 - (min(value, most) - least) / (most - least))

    def grid(self, x_ticks, y_ticks, x_form=str, y_form=str):
        for value in y_ticks:
            self.picture.line(self.x, self.at_y(value), self.x + self.width, self.at_y(value))
            self.picture.text(self.x - 8, self.at_y(value) + 4, y_form(value), kind="faint", anchor="end", size=12)
        for value in x_ticks:
            self.picture.line(self.at_x(value), self.y + self.height, self.at_x(value), self.y + self.height + 4, kind="faint")
            self.picture.text(self.at_x(value), self.y + self.height + 20, x_form(value), kind="faint", anchor="middle", size=12)

    def curve(self, points, kind, dashes="", dots=True):
        placed = [(self.at_x(x), self.at_y(y)) for x, y in points]
        self.picture.path(placed, kind, dashes)
        for x, y in placed if dots else []:
            self.picture.dot(x, y, kind)


def short(value):
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


LOOKS = {
    ("near", "instructions", False): ("a", "", "near hit, instructions"),
    ("near", "CPU", False): ("c", "", "near hit, CPU (1,000 entries asked for)"),
    ("near", "CPU", True): ("c", "2 5", "near hit, CPU (all entries asked for: their memory is cold)"),
    ("strict", "instructions", False): ("d", "", "strict hit on Redis, instructions"),
    ("strict", "CPU", False): ("b", "", "strict hit on Redis, CPU"),
}


def growth(results, path):
    picture = Picture(920, 420, "Cost of a hit as things grow", "in parts of the cost at the left end; flat is the aim, and 1.3 × the limit")
    lines = [line for line in tables.growth_lines(results) if (line["kind"], line["unit"], line["spread"]) in LOOKS]
    most = max([1.5, *(y / line["points"][0][1] for line in lines for _, y in line["points"])])
    top = min(math.ceil(most * 2) / 2, 4)
    for place, axis in enumerate(tables.AXES):
        labelled = place == 0
        found = [line for line in lines if line["axis"] == axis]
        if not found:
            continue
        ticks = sorted({x for line in found for x, _ in line["points"]})
        x = 66 + place * 287
        panel = Panel(picture, x, 108, 240, 178, (ticks[0], ticks[-1]), (0, top))
        picture.text(x, 96, f"{axis} an entry" if axis == "tags" else axis, weight=600)
        picture.box(x, panel.at_y(1.3), panel.width, panel.at_y(0) - panel.at_y(1.3), "good", round=0)
        marks = [step / 2 for step in range(int(top * 2) + 1)]
        panel.grid(ticks, marks, short, lambda value: f"{value:g} ×" if labelled else "")
        picture.line(x, panel.at_y(1.3), x + panel.width, panel.at_y(1.3), kind="limit", width=1.25, dashes="5 4")
        for line in found:
            kind, dashes, _ = LOOKS[line["kind"], line["unit"], line["spread"]]
            first = line["points"][0][1]
            panel.curve([(x, y / first) for x, y in line["points"]], kind, dashes)
    seen = {(line["kind"], line["unit"], line["spread"]) for line in lines}
    for place, look in enumerate(look for look in LOOKS if look in seen):
        kind, dashes, name = LOOKS[look]
        x, y = 66 + place % 2 * 430, 342 + place // 2 * 24
        picture.path([(x, y), (x + 26, y)], kind, dashes)
        picture.text(x + 36, y + 4, name, size=12)
    picture.write(path)


def seen(results, path):
    """How soon a purge is seen elsewhere: the part of purges that were seen within so many milliseconds."""
    found = results["seen"]["results"][0]
    times = [max(value, 0.02) for value in found["permille_ms"]]
    picture = Picture(920, 384, "A purge, seen by another process", f"from the call to the first answer there that is no hit; {found['purges']:,} purges through one Redis")
    left = 0.05 if times[0] >= 0.05 else 0.02
    panel = Panel(picture, 84, 92, 790, 222, (left, 20), (0, 100))
    ticks = [value for value in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20) if value >= left]
    panel.grid(ticks, [0, 25, 50, 75, 100], lambda value: f"{value:g} ms", lambda value: f"{value} %")
    points = [(min(value, 20), place / 10) for place, value in enumerate(times)]
    for percent, limit in ((50, 1), (99, 10)):
        x = panel.at_x(limit)
        picture.line(x, panel.at_y(100), x, panel.at_y(0), kind="limit", width=1.25, dashes="5 4")
        picture.text(x - 7, panel.at_y(6), f"limit of p{percent}", kind="limit", size=12, anchor="end", weight=600)
    panel.curve(points, "ours", dots=False)
    for percent in (50, 99):
        value = found[f"p{percent}_ms"]
        picture.dot(panel.at_x(value), panel.at_y(percent), "ours")
        down = 24 if percent == 99 else 5
        picture.text(panel.at_x(value) + 11, panel.at_y(percent) + down, f"p{percent}: {value:.2f} ms", weight=650, halo=True)
    picture.text(84, 358, "purges seen within", kind="faint", size=12)
    picture.write(path)


def memory(results, path):
    """Memory while an hour's worth of purges is applied."""
    found = results["storm"]["results"]
    picture = Picture(920, 330, "Memory under an hour’s worth of purges", f"{found[0]['memory']['events']:,} purges as fast as they are taken, {found[0]['entries']:,} entries, under load")
    curves = []
    for one in found:
        values = one["memory"]
        curves.append((f"{one['kind']}: process", values["resident"], "a" if one["kind"] == "embedded" else "b"))
        if values["redis"]:
            curves.append(("Redis server", values["redis"], "d"))
    top = math.ceil(max(max(values) for _, values, _ in curves) / 1e9 * 1.1)
    x, y, width, height = 84, 88, 620, 190
    panel = Panel(picture, x, y, width, height, (1, 10), (0, top))
    panel.grid([], [top * part / 4 for part in range(5)], y_form=lambda value: f"{value:g} GB")
    labels = []
    for name, values, kind in curves:
        points = [(x + width * (place + 1) / len(values), panel.at_y(value / 1e9)) for place, value in enumerate(values)]
        picture.path(points, kind)
        labels.append([points[-1][1], name, values[-1], kind])
    below = -100
    for at, name, value, kind in sorted(labels):
        below = max(at + 4, below + 18)
        picture.text(x + width + 12, below, f"{name}, {value / 1e9:.2f} GB", kind=kind, size=12, weight=600)
    for part in range(0, 61, 15):
        picture.text(x + width * part / 60, y + height + 20, f"{part} min", kind="faint", size=12, anchor="middle")
    picture.write(path)


def draw(http, scale, where):
    """Every plot for which there are results."""
    where.mkdir(exist_ok=True)
    if "hits" in http:
        servers(http, "hits", where / "hits.svg", "A hit from memory, beside other caches")
    if "strict" in http:
        servers(http, "strict", where / "strict.svg", "A hit that asks Redis, beside other caches")
    if "hits" in scale or "instructions" in scale:
        growth(scale, where / "growth.svg")
    if "seen" in scale:
        seen(scale, where / "purge-seen.svg")
    if "storm" in scale:
        memory(scale, where / "memory.svg")
