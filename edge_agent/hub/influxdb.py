"""The pages as a template of InfluxDB 2: bucket with retention, variables, dashboards. For `influx apply` or the API.

https://docs.influxdata.com/influxdb/v2/tools/influxdb-templates/create/

The format has no word for a DBRP mapping. InfluxDB 2 answers InfluxQL for a bucket by its own name without one
(database = bucket, policy `autogen`); `edge-agent hub apply` writes the mapping down as well.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from edge_agent.hub import flux
from edge_agent.hub.pages import Page, Panel, in_both

Document = dict[str, Any]
_VERSION: Final = "influxdata.com/v2alpha1"
_SECONDS_PER_DAY: Final = 86_400
_HEIGHTS: Final = {"lines": 4, "steps": 3, "bars": 3, "table": 4}
_COLOURS: Final = ("#31C0F6", "#A500A5", "#FF7E27")


def template(found: Sequence[Page], bucket: str, retention_days: int) -> list[Document]:
    """The documents of the template, in the order in which they are written."""
    classes = [page.machine_class for page in found if page.machine_class]
    return [
        _bucket(bucket, retention_days),
        _variable(flux.SITE, flux.sites(bucket)),
        *(_variable(flux.machine_variable(one), flux.machines(bucket, one)) for one in classes),
        *(_dashboard(page) for page in found),
    ]


def as_yaml(documents: Sequence[Document]) -> str:
    """The template's file."""
    return yaml.dump_all(documents, Dumper=_Dumper, allow_unicode=True, sort_keys=False, width=10_000)


class _Dumper(yaml.SafeDumper):
    """Queries as blocks, line by line, so that a person can read them."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def _document(kind: str, name: str, spec: Document) -> Document:
    """`name` identifies it in the stack; the format allows what a host name may hold."""
    plain = "-".join(part for part in name.split("_") if part)[:63].rstrip("-")
    return {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": plain}, "spec": spec}


def _bucket(bucket: str, retention_days: int) -> Document:
    seconds = retention_days * _SECONDS_PER_DAY
    rules = {"retentionRules": [{"type": "expire", "everySeconds": seconds}]} if retention_days else {}
    return _document("Bucket", "edge-agent-bucket", {"name": bucket} | rules)


def _variable(name: str, query: str) -> Document:
    facts = {"name": name, "type": "query", "language": "flux", "query": query}
    return _document("Variable", name, facts)


def _dashboard(page: Page) -> Document:
    charts = list(_charts(page.panels))
    title = f"edge-agent · {in_both(page.title)}"
    return _document("Dashboard", f"edge-agent-{page.key}", {"name": title, "charts": charts})


def _charts(panels: Sequence[Panel]) -> Iterator[Document]:
    x = y = row = 0
    for panel in panels:
        height = _HEIGHTS[panel.kind]
        if x + panel.width > 12:
            x, y, row = 0, y + row, 0
        yield _chart(panel) | {"xPos": x, "yPos": y, "width": panel.width, "height": height}
        x, row = x + panel.width, max(row, height)


def _chart(panel: Panel) -> Document:
    facts = {"name": in_both(panel.title), "queries": [{"query": panel.flux}]}
    if panel.kind == "table":
        options = {"tableOptions": {"verticalTimeAxis": True}, "timeFormat": "YYYY-MM-DD HH:mm:ss"}
        return {"kind": "Table"} | facts | options | {"colors": [{"type": "text", "hex": "#ffffff", "value": 0.0}]}
    geom = {"lines": "line", "steps": "step", "bars": "bar"}[panel.kind]
    suffix = {"suffix": f" {panel.unit}"} if panel.unit else {}
    axes = [{"name": "x", "scale": "linear"}, {"name": "y", "scale": "linear"} | suffix]
    colours = [{"name": f"colour {i}", "type": "scale", "hex": one} for i, one in enumerate(_COLOURS)]
    return {"kind": "Xy"} | facts | {"geom": geom, "xCol": "_time", "yCol": "_value", "axes": axes, "colors": colours}
