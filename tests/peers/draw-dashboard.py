"""Draws a dashboard as one page of HTML from what a Prometheus has: enough of each kind of panel to see it, not Grafana.

draw-dashboard.py DASHBOARD.json http://PROMETHEUS SECONDS ROWS name=value... >page.html
"""

import html
import json
import re
import sys
import time
import urllib.parse
import urllib.request

COLUMN, ROW, GAP = 64, 34, 6
COLOURS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff780a", "#b877d9", "#f2495c", "#8ab8ff", "#ffa6b0", "#96d98d", "#fade2a"]
NAMED = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2", "text": "#d8d9da"}
STEPS = {
    "bytes": (1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
    "Bps": (1000, ["B/s", "kB/s", "MB/s", "GB/s"]),
    "bps": (1000, ["b/s", "kb/s", "Mb/s", "Gb/s"]),
    "hertz": (1000, ["Hz", "kHz", "MHz", "GHz"]),
    "short": (1000, ["", "k", "M", "G", "T"]),
}
RATES = {"ops": "ops/s", "iops": "io/s", "pps": "p/s", "reqps": "req/s", "celsius": "°C"}


def words(value, unit):
    """A number as people read it."""
    if value != value:
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.3g} %"
    if unit == "s":
        size = abs(value)
        for factor, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if size >= factor:
                return f"{value / factor:.3g} {name}"
        return f"{value:.2g} s"
    base, names = STEPS.get(unit, STEPS["short"])
    at = 0
    while abs(value) >= base and at < len(names) - 1:
        value, at = value / base, at + 1
    number = f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{number} {names[at] or RATES.get(unit, '')}".strip()


class Source:
    def __init__(self, address, seconds, variables):
        self.address, self.seconds, self.variables = address, seconds, variables
        self.end = time.time()

    def query(self, expression, ranged):
        own = {"__rate_interval": "15s", "__range": f"{self.seconds}s", "__interval": "1s"}
        for name, value in {**own, **self.variables}.items():
            expression = expression.replace(f"${name}", value)
        asked = {"query": expression, "time": self.end}
        if ranged:
            step = max(1, self.seconds // 150)
            asked = {"query": expression, "start": self.end - self.seconds, "end": self.end, "step": step}
        path = "query_range" if ranged else "query"
        with urllib.request.urlopen(f"{self.address}/api/v1/{path}?{urllib.parse.urlencode(asked)}") as answer:
            return json.load(answer)["data"]["result"]

    def series(self, panel):
        for target in panel["targets"]:
            for one in self.query(target["expr"], True):
                legend = re.sub(r"\{\{(\w+)\}\}", lambda m: one["metric"].get(m[1], ""), target["legendFormat"])
                if legend == "__auto":
                    legend = ", ".join(f"{k}={v}" for k, v in one["metric"].items() if k not in ("job", "instance", "__name__"))
                yield legend.strip() or panel["title"], [(at, float(value)) for at, value in one["values"]]


def look(value, field):
    """What a value is shown as, and in which colour."""
    for mapping in field.get("mappings", []):
        said = mapping["options"].get(f"{value:g}" if isinstance(value, float) else value)
        if said:
            return said.get("text", value), NAMED[said["color"]]
    if not isinstance(value, float):
        return value, NAMED["text"]
    colour = NAMED["text"]
    for step in field.get("thresholds", {}).get("steps", []):
        if step["value"] is None or value >= step["value"]:
            colour = NAMED[step["color"]]
    if field.get("color", {}).get("mode") != "thresholds":
        colour = NAMED["text"]
    if field.get("decimals") is not None and field.get("unit", "short") == "short":
        return f"{value:.{field['decimals']}f}", colour
    return words(value, field.get("unit", "short")), colour


def stat(panel, source, width, height):
    field, shown = panel["fieldConfig"]["defaults"], []
    for legend, points in source.series(panel):
        text, colour = look(points[-1][1], field)
        shown.append((legend, colour) if panel["options"]["textMode"] == "name" else (text, colour))
    if not shown:
        return '<div class="none">No data</div>'
    size = min(34, int(1.7 * width / max(len(str(text)) for text, _ in shown)), height // (len(shown) + 1))
    lines = (f'<div style="color:{colour};font-size:{size}px">{html.escape(str(text))}</div>' for text, colour in shown[:4])
    return f'<div class="stat">{"".join(lines)}</div>'


def legend(rows, unit):
    lines = (
        f'<span><i style="background:{colour}"></i>{html.escape(name)} <b>{words(last, unit)}</b></span>'
        for name, colour, last in rows[:12]
    )
    return f'<div class="legend">{"".join(lines)}</div>'


def timeseries(panel, source, width, height):
    field = panel["fieldConfig"]["defaults"]
    stacked = field["custom"]["stacking"]["mode"] == "normal"
    all_series = list(source.series(panel))
    if not all_series:
        return '<div class="none">No data</div>'
    rows = -(-min(12, len(all_series)) * 150 // width)
    height -= 16 * min(3, rows) + 6
    base, lines = {}, []
    for name, points in all_series:
        points = [(at, 0.0 if value != value else value) for at, value in points]
        if stacked:
            under = [(at, base.get(at, 0.0)) for at, _ in points]
            points = [(at, value + base.get(at, 0.0)) for at, value in points]
            base.update(points)
        else:
            under = []
        lines.append((name, points, under))
    values = [value for _, points, under in lines for _, value in points + under]
    low, high = min(values + [field.get("min", min(values))]), max(values)
    if high - low < 1e-9:
        high, low = high + (abs(high) or 1), min(low, 0 if low >= 0 else low)
    left, start = 62, source.end - source.seconds

    def place(at, value):
        x = left + (at - start) / source.seconds * (width - left - 6)
        return f"{x:.1f},{height - 4 - (value - low) / (high - low) * (height - 12):.1f}"

    drawn = []
    for part in range(4):
        value = low + (high - low) * part / 3
        y = place(start, value).split(",")[1]
        drawn.append(f'<line x1="{left}" x2="{width}" y1="{y}" y2="{y}"/><text x="{left - 5}" y="{y}">{words(value, field["unit"])}</text>')
    for number, (name, points, under) in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(place(*point) for point in points)
        if stacked:
            floor = " ".join(place(*point) for point in reversed(under))
            drawn.append(f'<polygon points="{line} {floor}" fill="{colour}" fill-opacity="0.35"/>')
        drawn.append(f'<polyline points="{line}" stroke="{colour}"/>')
    rows = [(name, COLOURS[n % len(COLOURS)], all_series[n][1][-1][1]) for n, (name, _, _) in enumerate(lines)]
    return f'<svg width="{width}" height="{height}">{"".join(drawn)}</svg>{legend(rows, field["unit"])}'


def state_timeline(panel, source, width, height):
    field = panel["fieldConfig"]["defaults"]
    lines = list(source.series(panel))[:8]
    if not lines:
        return '<div class="none">No data</div>'
    left, tall = 130, min(26, (height - 8) // len(lines))
    start, drawn = source.end - source.seconds, []
    wide = (width - left - 6) / source.seconds
    for row, (name, points) in enumerate(lines):
        y = row * tall + 4
        drawn.append(f'<text x="{left - 6}" y="{y + tall / 2}">{html.escape(name[:22])}</text>')
        for (at, value), (until, _) in zip(points, points[1:] + [(points[-1][0] + 1, 0)]):
            colour = look(value, field)[1]
            colour = COLOURS[row % len(COLOURS)] if colour == NAMED["text"] else colour
            drawn.append(f'<rect x="{left + (at - start) * wide:.1f}" y="{y}" width="{(until - at) * wide + 0.6:.1f}" height="{tall - 4}" fill="{colour}"/>')
    return f'<svg width="{width}" height="{height}">{"".join(drawn)}</svg>'


def bargauge(panel, source, width, height):
    field = panel["fieldConfig"]["defaults"]
    bars = [(name, points[-1][1]) for name, points in source.series(panel) if points[-1][1] == points[-1][1]]
    most = max((value for _, value in bars), default=0) or 1
    lines = (
        f'<div class="bar"><span>{html.escape(name)}</span><i style="width:{max(1, value / most * (width - 260)):.0f}px"></i><b>{words(value, field["unit"])}</b></div>'
        for name, value in bars
    )
    return "".join(lines) or '<div class="none">No data</div>'


def table(panel, source, width, height):
    organize = panel["transformations"][1]["options"]
    rows, alone = {}, len(panel["targets"]) == 1
    for target in panel["targets"]:
        for one in source.query(target["expr"], False):
            row = rows.setdefault(tuple(sorted(one["metric"].items())), dict(one["metric"]))
            row["Value" if alone else f'Value #{target["refId"]}'] = float(one["value"][1])
    fields = sorted(organize["indexByName"], key=organize["indexByName"].get)
    fields = [field for field in fields if field not in organize["excludeByName"]]
    shown = {field: organize["renameByName"].get(field, field) for field in fields}
    looks = {o["matcher"]["options"]: {p["id"]: p["value"] for p in o["properties"]} for o in panel["fieldConfig"]["overrides"]}
    order = list(rows.values())
    for by in panel["options"]["sortBy"]:
        field = next(field for field, name in shown.items() if name == by["displayName"])
        order.sort(key=lambda row: (field in row, row.get(field, 0)), reverse=by["desc"])
    cells = []
    for row in order[: (height - 26) // 22]:
        line = []
        for field, name in shown.items():
            text, colour = look(row[field], looks.get(name, {})) if field in row else ("", "")
            line.append(f'<td style="color:{colour}">{html.escape(str(text))}</td>')
        cells.append(f'<tr>{"".join(line)}</tr>')
    if not cells:
        return '<div class="none">No data</div>'
    head = "".join(f"<th>{html.escape(name)}</th>" for name in shown.values())
    return f'<table><tr>{head}</tr>{"".join(cells)}</table>'


KINDS = {"stat": stat, "timeseries": timeseries, "state-timeline": state_timeline, "bargauge": bargauge, "table": table}
STYLE = """
body{margin:0;background:#111217;color:#d8d9da;font:12px/1.3 'DejaVu Sans',sans-serif;position:relative}
h1{font-size:17px;margin:0;padding:10px 12px}h2{font-size:12px;margin:0;padding:6px 8px 2px;white-space:nowrap;overflow:hidden}
section{position:absolute;background:#181b1f;border:1px solid #25282e;overflow:hidden;box-sizing:border-box}
section.row{background:none;border:none}section.row h2{font-size:14px;padding:8px 4px}
.stat{text-align:center;white-space:nowrap}.none{text-align:center;color:#70747c;padding-top:24px}
svg line{stroke:#2b2f36}svg text{fill:#9a9da3;font-size:10px;text-anchor:end;dominant-baseline:middle}svg polyline{fill:none;stroke-width:1.3}
.legend{padding:0 8px;height:48px;overflow:hidden}.legend span{margin-right:12px;white-space:nowrap;display:inline-block}.legend i{display:inline-block;width:12px;height:3px;margin:0 4px 3px 0}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:2px 8px;border-bottom:1px solid #25282e;white-space:nowrap}th{color:#8ab8ff}
.bar{display:flex;align-items:center;padding:4px 8px}.bar span{width:150px}.bar i{height:18px;background:#73bf69;margin-right:8px}
"""


def main(file, address, seconds, rows, *variables):
    with open(file) as text:
        dashboard = json.load(text)
    source = Source(address, int(seconds), dict(variable.split("=", 1) for variable in variables))
    drawn, bottom = [], 0
    shown = [panel for panel in dashboard["panels"] if panel["gridPos"]["y"] + panel["gridPos"]["h"] <= int(rows)]
    while shown[-1]["type"] == "row":
        shown.pop()
    for panel in shown:
        at = panel["gridPos"]
        width, height = at["w"] * COLUMN - GAP, at["h"] * ROW - GAP
        inside = "" if panel["type"] == "row" else KINDS[panel["type"]](panel, source, width - 4, height - 28)
        place = f'left:{at["x"] * COLUMN + GAP}px;top:{at["y"] * ROW + 44}px;width:{width}px;height:{height}px'
        drawn.append(f'<section class="{panel["type"]}" style="{place}"><h2>{html.escape(panel["title"])}</h2>{inside}</section>')
        bottom = max(bottom, (at["y"] + at["h"]) * ROW + 50)
    print(f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><body style='height:{bottom}px'><h1>{html.escape(dashboard['title'])}</h1>{''.join(drawn)}")


main(*sys.argv[1:])
