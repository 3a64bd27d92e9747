"""The suite in a lively minute, watched by a real Prometheus with the rules and the configuration that we ship."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from deploy.demo.lidarr.registration import registered
from deploy.demo.world import open_world
from tests.ops.prometheus import ROOT, Prometheus, running_prometheus
from tests.ops.traffic import lively, restless
from tests.support.ports import free_ports
from tests.support.suite import Suite, running_suite, suite_environment
from tests.support.waiting import eventually

SHIPPED = ROOT / "deploy" / "prometheus"
LIMITS = {"FAILED_ATTEMPTS_LIMIT": "5"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Both, while they run."""

    suite: Suite
    prometheus: Prometheus


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def live(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Live]:
    folder = tmp_path_factory.mktemp("ops")
    (folder / "home").mkdir()
    async with open_world(folder / "world") as world:
        environment = suite_environment(folder / "home", {**world.environment, **LIMITS})
        async with running_suite(environment) as suite:
            await registered(world.environment, suite.url)
            config = configured(folder, environment["LOCKGROOVE_PORT"])
            async with running_prometheus(config, folder / "tsdb", *free_ports(1)) as prometheus:
                await looked_at(prometheus)
                more = asyncio.create_task(restless(suite))
                await lively(suite, world)
                yield Live(suite=suite, prometheus=prometheus)
                more.cancel()
                await asyncio.wait([more])


async def looked_at(prometheus: Prometheus) -> None:
    """Once Prometheus has the metrics from before the traffic."""

    async def looked() -> bool:
        return bool(await prometheus.query("lockgroove_up == 1"))

    await eventually(looked, within=60)


def configured(folder: Path, port: str) -> Path:
    """The configuration that we ship, at another address and in more of a hurry."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "4s", "scrape_timeout": "4s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(SHIPPED / pattern) for pattern in config["rule_files"]]
    (job,) = config["scrape_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return path
