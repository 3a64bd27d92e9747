"""Every query of every dashboard and alert is evaluated against the running suite."""

import math
from collections.abc import Iterator

import pytest

from deploy.monitoring.alerts.table import ALERTS
from deploy.monitoring.dashboards.grafana import RESTARTS
from deploy.monitoring.dashboards.panel import standing_alone
from deploy.monitoring.dashboards.table import QUERIES
from deploy.monitoring.recording import RECORDED
from tests.ops.conftest import Live
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]  # a busy machine is slow

PROVOKED = {"LockgrooveKeysGuessed", "LockgrooveWebhooksRefused"}


def with_data() -> Iterator[str]:
    """What has to return data on a healthy suite; promtool proves the rest (deploy/prometheus/tests)."""
    yield from RECORDED
    yield from (alert.measured for alert in ALERTS if not alert.rare)
    yield from (standing_alone(query.expression) for query in QUERIES if not query.proof)


def without_data() -> Iterator[str]:
    """What at least has to be understood."""
    yield RESTARTS
    yield from (alert.expression for alert in ALERTS)
    yield from (standing_alone(query.expression) for query in QUERIES)


async def test_every_query_returns_data(live: Live) -> None:
    missing = sorted(set(with_data()))
    assert len(missing) > 100

    async def all_answered() -> bool:
        missing[:] = [query for query in missing if not await has_data(live, query)]
        return not missing

    try:
        await eventually(all_answered, within=120, every=1)
    except AssertionError as error:
        raise AssertionError("\n".join(["no data for:", *missing])) from error


async def has_data(live: Live, query: str) -> bool:
    return any(not math.isnan(float(sample["value"][1])) for sample in await live.prometheus.query(query))


async def test_every_expression_is_understood(live: Live) -> None:
    for expression in without_data():
        await live.prometheus.query(expression)


async def test_every_rule_is_evaluated_without_an_error(live: Live) -> None:
    groups = (await live.prometheus.ask("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert {rule["name"] for rule in rules} == {*RECORDED, *(alert.name for alert in ALERTS)}
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []


async def test_what_was_provoked_fires_and_nothing_else(live: Live) -> None:
    async def firing() -> set[str]:
        alerts = (await live.prometheus.ask("alerts"))["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def provoked() -> bool:
        return await firing() >= PROVOKED

    await eventually(provoked, within=120)
    assert await firing() == PROVOKED
