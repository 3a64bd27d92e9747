"""Panels say what they show and in what unit, and lead to who can help."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploy.monitoring.alerts.table import ALERTS
from deploy.monitoring.dashboards.panel import Panel
from deploy.monitoring.dashboards.table import DASHBOARDS, dashboard_files
from deploy.monitoring.routes import PATIENT
from tests.contract.docs.pages import ROOT


def panels() -> Iterator[Panel]:
    return (panel for dashboard in DASHBOARDS for panel in dashboard.panels)


def documents() -> Iterator[Mapping[str, Any]]:
    return (json.loads(text) for text in dashboard_files().values())


def test_every_panel_says_what_it_shows() -> None:
    assert [panel.title for panel in panels() if not panel.description.endswith((".", "`"))] == []


def test_titles_on_a_page_differ() -> None:
    for dashboard in DASHBOARDS:
        titles = [panel.title for panel in dashboard.panels]
        assert len(set(titles)) == len(titles), dashboard.name


def test_every_alert_is_explained_beside_a_panel() -> None:
    named = {name for panel in panels() for name in panel.alerts}

    blind = {"LockgrooveTargetDown", "LockgrooveTargetMissing"}  # nothing can be drawn of what is not known
    assert named == {alert.name for alert in ALERTS} - blind


def test_no_two_panels_lie_on_each_other() -> None:
    for document in documents():
        taken: set[tuple[int, int]] = set()
        for place in (panel["gridPos"] for panel in document["panels"]):
            cells = {
                (x, y)
                for x in range(place["x"], place["x"] + place["w"])
                for y in range(place["y"], place["y"] + place["h"])
            }
            assert not cells & taken
            assert place["x"] + place["w"] <= 24
            taken |= cells


def test_every_dashboard_leads_to_traces_and_to_what_to_do() -> None:
    for document in documents():
        assert {"Traces", "Runbook", "Lockgroove"} == {link["title"] for link in document["links"]}


def test_the_sources_that_dashboards_name_are_provisioned() -> None:
    provisioned = (ROOT / "deploy/grafana/provisioning/datasources/lockgroove.yml").read_text()

    assert "uid: lockgroove-traces" in provisioned
    assert "type: prometheus" in provisioned


def test_streams_do_not_count_as_slow_requests() -> None:
    files = [*(ROOT / "protos").rglob("*.proto")]
    calls = [call for file in files for call in re.findall(r"returns \(stream.*?\n  }", file.read_text(), re.DOTALL)]
    routes = [route for call in calls for route in re.findall(r'"(/api[^"]+)"', call)]

    assert len(routes) >= 4
    assert [route for route in routes if not re.fullmatch(PATIENT, route)] == []
