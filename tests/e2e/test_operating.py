"""A suite that runs is deployed onto from a shell without a terminal: once with a step that fails, once well."""

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.commands import Ran, run
from tests.support.suite import SERVICES, Suite, running_suite, suite_environment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_SMALL = {"LOCKGROOVE_MINIMUM_DISK_GB": "0.001"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    async with running_suite(suite_environment(tmp_path_factory.mktemp("home"), _SMALL)) as suite:
        yield suite


async def _command(suite: Suite, *arguments: str, **extra: str) -> Ran:
    environment = {name: value for name, value in suite.environment.items() if name not in ("TERM", "HOME")}
    return await run("lockgroove", *arguments, environment={**environment, **extra}, within=120)


async def test_a_suite_that_works_is_healthy_and_every_test_passes(suite: Suite) -> None:
    health = await _command(suite, "health", "--wait", "--json")
    alone = await _command(suite, "health", "--service", "webhooks", "--json")
    smoke = await _command(suite, "smoke", "--json")
    fine = await _command(suite, "validate", "--json")

    assert (health.status, json.loads(health.output)["status"]) == (0, "healthy")
    assert (alone.status, json.loads(alone.output)["subject"]) == (0, "webhooks")
    assert smoke.status == 0, smoke.output
    assert all(test["passed"] for test in json.loads(smoke.output)["tests"])
    assert (fine.status, json.loads(fine.output)["findings"]) == (0, []), fine.output


async def test_a_deployment_restarts_every_service_and_is_recorded(suite: Suite) -> None:
    home = Path(suite.environment["LOCKGROOVE_HOME"])
    before = {suite.pid(service) for service in SERVICES}

    done = await _command(suite, "deploy", "--skip-backup")

    assert done.status == 0, done.output
    assert len(list((home / "releases").iterdir())) == 1
    assert not {suite.pid(service) for service in SERVICES} & before
    assert "\x1b" not in done.output


async def test_a_deployment_whose_tests_fail_has_what_ran_run_again(suite: Suite) -> None:
    wrong = {"LOCKGROOVE_API_KEY": "lg_not-the-key-0123456789", "LOCKGROOVE_RESTART_COMMAND": f"{sys.executable} -c 0"}

    failed = await _command(suite, "deploy", "--skip-backup", "--json", **wrong)

    told = [line["data"] for line in map(json.loads, failed.output.splitlines())]
    assert failed.status == 1, failed.output
    assert [(line["step"], line["mark"]) for line in told[-4:-1] if line["mark"] != "begun"] == [
        ("smoke", "failed"),
        ("restart", "undone"),
    ]
    assert len(list((Path(suite.environment["LOCKGROOVE_HOME"]) / "releases").iterdir())) == 1
    assert (await suite.client.get("/api/ready")).status_code == 200


async def test_a_restart_that_cannot_be_put_back_is_told_by_its_status(suite: Suite) -> None:
    done = await _command(
        suite, "deploy", "--skip-tests", "--skip-backup", LOCKGROOVE_RESTART_COMMAND=f"{sys.executable} -c exit(7)"
    )

    assert done.status == 2, done.output
    assert "LOCKGROOVE_RESTART_COMMAND ended with status 7" in done.output
    assert (await suite.client.get("/api/ready")).status_code == 200
