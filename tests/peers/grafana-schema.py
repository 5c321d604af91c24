"""Reads dashboards into the types that Grafana publishes and writes them again: whatever is lost, Grafana does not know."""

import json
import re
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

# Fields of the plugin for Prometheus, which are in its own documentation and not in the types.
OF_THE_PLUGIN = [
    r"/annotations/list/\d+/(step|titleFormat|useValueForTime)",
    r"/templating/list/\d+/definition",
]
NOTHING = (None, [], {}, False, "")


def lost(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{path}/{key}")
            elif value not in NOTHING:
                yield f"{path}/{key}: {value!r} is not known"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (left, right) in enumerate(zip(ours, theirs)):
            yield from lost(left, right, f"{path}/{index}")
    elif ours != theirs:
        yield f"{path}: {ours!r} is read as {theirs!r}"


register_default_plugins()
wrong = []
for file in sys.argv[1:]:
    with open(file) as text:
        ours = json.load(text)
    theirs = json.loads(JSONEncoder().encode(Dashboard.from_json(ours)))
    for line in lost(ours, theirs):
        if not any(re.match(known + ":", line) for known in OF_THE_PLUGIN):
            wrong.append(f"{file}{line}")
print("\n".join(wrong) or f"{len(sys.argv) - 1} dashboards are as Grafana has them")
sys.exit(bool(wrong) or len(sys.argv) < 2)
