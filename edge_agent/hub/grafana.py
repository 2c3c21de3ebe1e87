"""The pages as Grafana dashboards, in InfluxQL, over a data source that the reader chooses.

Gaps stay gaps (`spanNulls` is off where values come by themselves); events and bad quality are marks on the charts.
https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from edge_agent.hub import influxql
from edge_agent.hub.pages import Page, Panel, in_both

Document = dict[str, Any]
_SOURCE: Final = {"type": "influxdb", "uid": "${source}"}
_HEIGHTS: Final = {"lines": 8, "steps": 7, "bars": 7, "table": 8}
_SPECIAL: Final = re.compile(r"[\\^$.*+?()\[\]{}|/]")
"""What means something in a regular expression of JavaScript."""
_SCHEMA: Final = 39
"""Version of the dashboard's own format: Grafana 10.2 and newer read it as it is."""


def as_json(document: Document) -> str:
    """A dashboard's file."""
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def dashboard(page: Page, language: str) -> Document:
    """One page."""
    here = influxql.OF_MACHINE if page.machine_class else influxql.OF_SITE
    return {
        "uid": f"edge-agent-{page.key}"[:40],
        "title": f"edge-agent · {in_both(page.title)}",
        "tags": ["edge-agent"],
        "schemaVersion": _SCHEMA,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables(page)},
        "annotations": {"list": _marks(here, language)},
        "panels": _panels(page.panels),
    }


def data_source(bucket: str) -> str:
    """A provisioning file: how Grafana reaches the hub's InfluxDB 2 by InfluxQL."""
    return f"""# Copy to /etc/grafana/provisioning/datasources/ and set url and INFLUX_TOKEN. url과 토큰을 설정하십시오.
# The token needs read permission for the bucket. InfluxDB 1: user and secureJsonData.password in place of the header.
apiVersion: 1
datasources:
  - name: edge-agent
    type: influxdb
    access: proxy
    url: https://hub.example.kr:8086
    jsonData:
      version: InfluxQL
      dbName: {json.dumps(bucket, ensure_ascii=False)}
      httpMode: POST
      httpHeaderName1: Authorization
    secureJsonData:
      httpHeaderValue1: Token ${{INFLUX_TOKEN}}
"""


def _variables(page: Page) -> list[Document]:
    source = {"name": "source", "type": "datasource", "query": "influxdb", "label": "데이터 원본 · source"}
    found = [source, _variable("site", "현장 · site", influxql.sites())]
    if page.machine_class:
        found.append(_variable("machine", "설비 · machine", influxql.machines(page.machine_class)))
    return found


def _variable(name: str, label: str, query: str) -> Document:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": query,
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _marks(here: str, language: str) -> list[Document]:
    event = {"textColumn": f"text_{language}", "tagsColumn": "class,signal", "timeEndColumn": "end_ms"}
    return [
        _mark("이벤트 · events", "orange", influxql.event_marks(here, language), event),
        _mark("품질 · quality", "red", influxql.quality_marks(here), {"textColumn": "signal", "tagsColumn": "quality"}),
    ]


def _mark(name: str, colour: str, query: str, columns: dict[str, str]) -> Document:
    """The columns stand twice: Grafana has moved them from the mark to its query."""
    target = {"refId": "Anno", "query": query, "rawQuery": True, "fromAnnotations": True} | columns
    own = {"name": name, "enable": True, "iconColor": colour, "datasource": _SOURCE, "query": query}
    return own | columns | {"target": target}


def _panels(panels: Sequence[Panel]) -> list[Document]:
    placed: list[Document] = []
    x = y = row = 0
    for number, panel in enumerate(panels, 1):
        width, height = 2 * panel.width, _HEIGHTS[panel.kind]
        if x + width > 24:
            x, y, row = 0, y + row, 0
        placed.append({"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}} | _panel(panel))
        x, row = x + width, max(row, height)
    return placed


def _panel(panel: Panel) -> Document:
    facts: Document = {
        "title": in_both(panel.title),
        "type": "table" if panel.kind == "table" else "timeseries",
        "datasource": _SOURCE,
        "targets": [_target(panel, query, place) for place, query in enumerate(panel.influxql)],
        "fieldConfig": {"defaults": _look(panel), "overrides": [_mapped(*each) for each in panel.meanings]},
    }
    if panel.spacing:
        facts["interval"] = f"{round(panel.spacing * 1000)}ms"
    if panel.kind == "table" and len(panel.influxql) > 1:
        facts["transformations"] = [{"id": "merge", "options": {}}]
    return facts


def _mapped(name: str, texts: Mapping[int, str]) -> Document:
    """Texts in place of the numbers of one signal, on whichever machine: lines are called `machine signal`.

    https://grafana.com/docs/grafana/latest/panels-visualizations/configure-value-mappings/
    """
    escaped = _SPECIAL.sub(r"\\\g<0>", name)
    shown = {str(number): {"text": text, "index": place} for place, (number, text) in enumerate(texts.items())}
    return {
        "matcher": {"id": "byRegexp", "options": f"/ {escaped}$/"},
        "properties": [{"id": "mappings", "value": [{"type": "value", "options": shown}]}],
    }


def _target(panel: Panel, query: str, place: int) -> Document:
    shape = "table" if panel.kind == "table" else "time_series"
    facts = {"refId": chr(ord("A") + place % 26), "datasource": _SOURCE, "rawQuery": True, "resultFormat": shape}
    return facts | {"query": query} | ({"alias": panel.alias} if panel.alias else {})


def _look(panel: Panel) -> Document:
    if panel.kind == "table":
        return {}
    drawn = {
        "lines": {"drawStyle": "line", "lineInterpolation": "linear", "spanNulls": False, "showPoints": "auto"},
        "steps": {"drawStyle": "line", "lineInterpolation": "stepAfter", "spanNulls": True, "showPoints": "always"},
        "bars": {"drawStyle": "bars", "fillOpacity": 60, "spanNulls": False},
    }[panel.kind]
    return {"custom": drawn} | ({"unit": f"suffix: {panel.unit}"} if panel.unit else {})
