"""The commands, without a terminal, against one suite that runs: what looks after it, then what it holds."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from typer.testing import CliRunner

from deploy.cli.main import app
from tests.support.commands import Ran, run
from tests.support.kima import API_KEY, KEY, PASSWORD, make_kima
from tests.support.suite import SERVICES, Suite, running_suite, suite_environment

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

SECRET = "canary-of-a-secret-7f3a"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    home = tmp_path_factory.mktemp("home")
    extra = {"MUSIC_PATH": str(home), "LOCKGROOVE_MINIMUM_DISK_GB": "0.001"}
    async with running_suite(suite_environment(home, extra)) as suite:
        yield suite


async def lockgroove(suite: Suite, *arguments: str, **more: str) -> Ran:
    environment = {name: value for name, value in suite.environment.items() if name not in ("TERM", "HOME")}
    return await run("lockgroove", *arguments, environment={**environment, **more}, within=120)


async def told(suite: Suite, *arguments: str, **more: str) -> Any:
    """What a command tells that goes well, without the price of a process."""
    ran = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"], env={**suite.environment, **more})
    assert ran.exit_code == 0, (ran.output, ran.exception)
    return json.loads(ran.stdout)


async def test_a_suite_that_works_is_healthy_and_every_test_passes(suite: Suite) -> None:
    health = await told(suite, "health", "--wait")
    alone = await lockgroove(suite, "health", "--service", "webhooks", "--json")
    smoke = await told(suite, "smoke")
    fine = await told(suite, "validate")

    assert health["status"] == "healthy"
    assert (alone.status, json.loads(alone.output)["subject"]) == (0, "webhooks")
    assert all(test["passed"] for test in smoke["tests"])
    assert fine["findings"] == []


async def test_a_deployment_restarts_every_service_and_is_recorded(suite: Suite) -> None:
    home = Path(suite.environment["LOCKGROOVE_HOME"])
    before = {suite.pid(service) for service in SERVICES}

    done = await lockgroove(suite, "deploy", "--skip-backup")

    assert done.status == 0, done.output
    assert len(list((home / "releases").iterdir())) == 1
    assert not {suite.pid(service) for service in SERVICES} & before
    assert "\x1b" not in done.output


async def test_a_deployment_whose_tests_fail_has_what_ran_run_again(suite: Suite) -> None:
    wrong = {"LOCKGROOVE_API_KEY": "lg_not-the-key-0123456789", "LOCKGROOVE_RESTART_COMMAND": f"{sys.executable} -c 0"}

    failed = await lockgroove(suite, "deploy", "--skip-backup", "--json", **wrong)

    lines = [line["data"] for line in map(json.loads, failed.output.splitlines())]
    assert failed.status == 1, failed.output
    assert [(line["step"], line["mark"]) for line in lines[-4:-1] if line["mark"] != "begun"] == [
        ("smoke", "failed"),
        ("restart", "undone"),
    ]
    assert len(list((Path(suite.environment["LOCKGROOVE_HOME"]) / "releases").iterdir())) == 1
    assert (await suite.client.get("/api/ready")).status_code == 200


async def test_a_restart_that_cannot_be_put_back_is_told_by_its_status(suite: Suite) -> None:
    done = await lockgroove(
        suite, "deploy", "--skip-tests", "--skip-backup", LOCKGROOVE_RESTART_COMMAND=f"{sys.executable} -c exit(7)"
    )

    assert done.status == 2, done.output
    assert "LOCKGROOVE_RESTART_COMMAND ended with status 7" in done.output
    assert (await suite.client.get("/api/ready")).status_code == 200


async def test_settings_are_changed_checked_and_forgotten(suite: Suite, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")

    await told(suite, "settings", "set", "lidarr.url=http://127.0.0.1:1", "lidarr.pollInterval=30")
    await told(suite, "settings", "set", "lidarr.apiKey", "--from-file", str(secret))
    refused = await lockgroove(suite, "settings", "set", "acquisition.concurrency=99")
    shown = await told(suite, "settings", "get", "lidarr")
    await told(suite, "settings", "unset", "lidarr.url", "lidarr.pollInterval", "lidarr.apiKey", "--dry-run")
    history = await lockgroove(suite, "settings", "history")

    values = {each["path"]: (each.get("value", each.get("isSet")), each["source"]) for each in shown["settings"]}
    assert values["lidarr.url"] == ("http://127.0.0.1:1", "DATABASE")
    assert values["lidarr.apiKey"] == (True, "DATABASE")
    assert (refused.status, "acquisition.concurrency" in refused.output) == (1, True)
    assert "lidarr.pollInterval" in history.output
    assert SECRET not in history.output + json.dumps(shown)


async def test_what_is_said_wrong_ends_with_64_and_a_suite_that_is_away_with_4(suite: Suite) -> None:
    wrong = await lockgroove(suite, "settings", "set", "lidarr.ulr=x")
    away = await lockgroove(suite, "acquisitions", "list", LOCKGROOVE_URL="http://127.0.0.1:1")

    assert (wrong.status, "lidarr.url" in wrong.output) == (64, True)
    assert (away.status, "nobody answers" in away.output) == (4, True)


async def test_acquisitions_are_asked_for_and_done_with_several_at_once(suite: Suite) -> None:
    # Without an account on Soulseek each fails at once.
    request = ("acquisitions", "request", "--source", "soulseek", "The Placeholders")
    ended = await lockgroove(suite, *request, "Lorem", "--wait", "--json")
    other = await told(suite, *request, "Ipsum")
    await suite.ended(other["name"])
    listed = await told(suite, "acquisitions", "list", "--artist", "The*", "--state", "failed", "--page-size", "1")
    asked = await lockgroove(suite, "acquisitions", "retry", "--filter", 'state = "FAILED"')
    dry = await told(suite, "acquisitions", "retry", "--filter", 'title = "Lorem"', "--dry-run")
    some = await lockgroove(suite, "acquisitions", "retry", other["name"], "acq-nobody", "--json")

    assert ended.status == 1
    assert [json.loads(line)["acquisition"]["state"] for line in ended.output.splitlines()][-1] == "FAILED"
    assert [each["album"]["title"] for each in listed["acquisitions"]] == ["Ipsum", "Lorem"]
    assert asked.status == 64
    assert (dry["would"], dry["done"]) == (1, 0)
    assert (some.status, [bool(each.get("error")) for each in json.loads(some.output)["results"]]) == (1, [False, True])


async def test_a_key_is_shown_once_and_taken_back(suite: Suite) -> None:
    made = await told(suite, "keys", "create", "phone", "--scope", "read", "--expires-in", "30d")
    listed = await lockgroove(suite, "keys", "list", LOCKGROOVE_API_KEY=suite.key)
    denied = await lockgroove(suite, "keys", "create", "more", LOCKGROOVE_API_KEY=made["secret"])
    revoked = await told(suite, "keys", "revoke", made["name"])

    assert made["secret"] not in listed.output
    assert made["hint"] in listed.output
    assert denied.status == 1
    assert [each["state"] for each in revoked["results"]] == ["REVOKED"]


async def test_who_watches_sees_what_comes_after_a_crash_of_the_gateway(suite: Suite) -> None:
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("lockgroove"),
        "events",
        "watch",
        "--json",
        env=dict(suite.environment),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        first = await _deliver(suite, 1)
        seen = [await _event(process.stdout, first)]
        await suite.kill("gateway")
        await suite.wait_ready()
        second = await _deliver(suite, 2)
        seen.append(await _event(process.stdout, second))
    finally:
        process.kill()
        await process.wait()

    assert seen == [first, second]


async def test_kima_is_imported_through_the_suite(suite: Suite, postgres_url: str) -> None:
    await make_kima(postgres_url)
    environment = {"KIMA_DATABASE_URL": postgres_url, "SETTINGS_ENCRYPTION_KEY": KEY}

    wrong = await lockgroove(suite, "import", "kima", **environment | {"SETTINGS_ENCRYPTION_KEY": "another"})
    report = await told(suite, "import", "kima", "--resume-active", "--overwrite", **environment)
    again = await told(suite, "import", "kima", "--resume-active", **environment)
    settings = (await suite.client.get("/api/v1/settings")).json()
    running = (await suite.client.get("/api/v1/acquisitions", params={"filter": 'title = "F"'})).json()["acquisitions"]

    assert wrong.status == 3
    assert report["parts"]["settings"] == {"read": 12, "imported": 8, "thereAlready": 0, "skipped": 4}
    assert again["parts"]["settings"]["imported"] == 0
    assert {"lidarr.apiKey", "soulseek.password"} <= set(settings["secretsSet"])
    assert settings["lidarr"]["url"] == "http://lidarr:8686"
    assert (report["resumed"], again["resumed"], len(running)) == (1, 0, 2)
    written = Path(report["record"]).read_text()
    assert not any(secret in written + json.dumps(report) for secret in (API_KEY, PASSWORD, KEY))


async def _deliver(suite: Suite, number: int) -> str:
    """A webhook of Lidarr's from this machine; the name of the event."""
    body = {"eventType": "Health", "message": f"number {number}"}
    answer = await suite.client.post("/api/webhooks/lidarr", json=body)
    assert answer.status_code == 202, answer.text
    return f"events/{answer.json()['eventId']}"


async def _event(stream: asyncio.StreamReader, name: str) -> str:
    """Reads until there is news of the event; its name."""
    async with asyncio.timeout(30):
        while line := await stream.readline():
            if (found := json.loads(line)["event"]["name"]) == name:
                return str(found)
    raise AssertionError("the stream has ended")
