"""Dashboards in Grafana's format (schema version 39, Grafana 10 and later)."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from deploy.monitoring.alerts.table import ALERTS
from deploy.monitoring.dashboards.panel import Dashboard, Kind, Panel, Query

Json = Mapping[str, Any]

PREFIX = "lockgroove-"
TAG = "lockgroove"
TRACES = "lockgroove-traces"  # the uid of the data source, in deploy/grafana/provisioning
RUNBOOK = f"/d/{PREFIX}alerts"

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_HEIGHT = 8
_SUMMARIES = {alert.name: alert.summary for alert in ALERTS}


def written(dashboard: Dashboard, texts: Sequence[str] = ()) -> str:
    """The file of a dashboard; `texts` are pages of Markdown at its end."""
    panels = list(_numbered([*_laid_out(dashboard), *map(_text, texts)]))
    return json.dumps(_document(dashboard, panels), indent=1, ensure_ascii=False) + "\n"


def _document(dashboard: Dashboard, panels: Sequence[Json]) -> Json:
    return {
        "uid": f"{PREFIX}{dashboard.name}",
        "title": f"Lockgroove: {dashboard.title}",
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": _links(),
        "templating": {"list": [_data_source(), _services()]},
        "annotations": {"list": [_restarts()]},
        "panels": panels,
    }


def traces(service: str, *, failed: bool = False) -> str:
    """Where Grafana shows the newest traces of a service."""
    tags = {"tags": '{"error":"true"}'} if failed else {}
    query = {"refId": "A", "queryType": "search", "service": f"lockgroove-{service}", **tags}
    pane = {"datasource": TRACES, "queries": [query], "range": {"from": "now-1h", "to": "now"}}
    return f"/explore?schemaVersion=1&orgId=1&panes={quote(json.dumps({'a': pane}))}"


def _links() -> Sequence[Json]:
    others = {"type": "dashboards", "title": "Lockgroove", "tags": [TAG], "asDropdown": True, "includeVars": True}
    found = {"type": "link", "title": "Traces", "icon": "external link", "url": traces("gateway")}
    advice = {"type": "link", "title": "Runbook", "icon": "doc", "url": RUNBOOK}
    return [{**link, "keepTime": True} for link in (others, found, advice)]


def _data_source() -> Json:
    return {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _services() -> Json:
    query = "label_values(lockgroove_up, service)"
    every = {"text": "All", "value": "$__all"}
    return {
        "name": "service",
        "label": "Service",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "services"},
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".+",
        "current": every,
    }


def _restarts() -> Json:
    return {
        "name": "Starts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "blue",
        "expr": RESTARTS,
        "titleFormat": "{{service}} started",
    }


RESTARTS = 'changes(process_start_time_seconds{service!=""}[2m]) > 0'


def _laid_out(dashboard: Dashboard) -> Iterator[Json]:
    top = 0
    for row in dashboard.rows:
        yield {"type": "row", "title": row.title, "collapsed": False, "gridPos": _place(0, top, _COLUMNS, 1)}
        top += 1
        left = 0
        for panel in row.panels:
            if left + panel.width > _COLUMNS:
                left, top = 0, top + _HEIGHT
            yield {**_panel(panel), "gridPos": _place(left, top, panel.width, _HEIGHT)}
            left += panel.width
        top += _HEIGHT


def _place(left: int, top: int, width: int, height: int) -> Json:
    return {"x": left, "y": top, "w": width, "h": height}


def _numbered(panels: Iterable[Json]) -> Iterator[Json]:
    for number, panel in enumerate(panels, start=1):
        yield {"id": number, **panel}


def _panel(panel: Panel) -> Json:
    return {
        "type": str(panel.kind),
        "title": panel.title,
        "description": _description(panel),
        "datasource": _SOURCE,
        "links": list(_panel_links(panel)),
        "targets": [_target(letter, query, panel.kind) for letter, query in zip("ABCDEF", panel.queries, strict=False)],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
    }


def _description(panel: Panel) -> str:
    alerts = (f"Alert {name}: {_SUMMARIES[name]}." for name in panel.alerts)
    return "\n\n".join((panel.description, *alerts))


def _panel_links(panel: Panel) -> Iterator[Json]:
    if panel.alerts:
        yield {"title": f"What to do: {', '.join(panel.alerts)}", "url": RUNBOOK, "targetBlank": False}
    if panel.traces:
        yield {"title": "Traces", "url": traces(panel.traces), "targetBlank": True}
        yield {"title": "Traces that failed", "url": traces(panel.traces, failed=True), "targetBlank": True}


def _target(letter: str, query: Query, kind: Kind) -> Json:
    at_once = kind in (Kind.NUMBER, Kind.BARS, Kind.TABLE)
    return {
        "refId": letter,
        "datasource": _SOURCE,
        "expr": query.expression,
        "legendFormat": query.legend or "__auto",
        "instant": at_once,
        "range": not at_once,
        **({"format": "table"} if kind is Kind.TABLE else {}),
    }


def _defaults(panel: Panel) -> Json:
    steps = [{"color": str(colour), "value": value} for value, colour in panel.steps]
    names = {f"{value:g}": {"text": text, "color": str(colour)} for value, (text, colour) in panel.names.items()}
    custom: dict[str, Any] = {}
    if panel.kind is Kind.LINES:
        custom = {
            "fillOpacity": 10,
            "showPoints": "never",
            "spanNulls": True,
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.steps else "off"},
        }
    return {
        "unit": panel.unit,
        "min": 0,
        "color": {"mode": "palette-classic" if panel.kind is Kind.LINES else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": [{"color": str(panel.base), "value": None}, *steps]},
        "mappings": [{"type": "value", "options": names}] if names else [],
        "custom": custom,
    }


def _options(kind: Kind) -> Json:
    match kind:
        case Kind.LINES:
            legend = {"displayMode": "list", "placement": "bottom", "showLegend": True}
            return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
        case Kind.STATES:
            return {"showValue": "auto", "mergeValues": True, "rowHeight": 0.8}
        case Kind.TABLE:
            return {"showHeader": True, "cellHeight": "sm"}
        case _:
            last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
            return {"reduceOptions": last, "orientation": "auto"}


def _text(markdown: str) -> Json:
    return {
        "type": "text",
        "title": "",
        "gridPos": _place(0, 1000, _COLUMNS, 24),
        "options": {"mode": "markdown", "content": markdown},
    }
