"""Prometheus's own tool finds nothing wrong, and every alert fires when it should and not before."""

from pathlib import Path

import pytest

from tests.ops.conftest import SHIPPED, Live
from tests.ops.promtool import promtool

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(400)]


def files(pattern: str) -> list[str]:
    return sorted(str(path) for path in SHIPPED.glob(pattern))


async def test_the_rules_are_well_formed() -> None:
    status, said = await promtool("check", "rules", *files("rules/*.yml"))

    assert status == 0, said


async def test_the_configurations_are_well_formed() -> None:
    status, said = await promtool("check", "config", *files("prometheus*.yml"))

    assert status == 0, said


async def test_every_alert_fires_at_its_threshold_and_not_below() -> None:
    status, said = await promtool("test", "rules", *files("tests/*.yml"))

    assert status == 0, said


async def test_an_alert_that_does_not_fire_is_found_out(tmp_path: Path) -> None:
    rules, tests = tmp_path / "rules", tmp_path / "tests"
    for folder in (rules, tests):
        folder.mkdir()
    for path in SHIPPED.glob("rules/*.yml"):
        (rules / path.name).write_text(path.read_text().replace("> 600", "> 6000"))
    (tests / "webhooks.yml").write_text((SHIPPED / "tests" / "webhooks.yml").read_text())

    status, said = await promtool("test", "rules", str(tests / "webhooks.yml"))

    assert status == 1
    assert "LockgrooveWebhookBacklogOld fires" in said


async def test_the_metrics_are_well_formed(live: Live) -> None:
    exposition = (await live.suite.client.get("/api/metrics")).content

    status, said = await promtool("check", "metrics", given=exposition)

    assert (status, said) == (0, "")
