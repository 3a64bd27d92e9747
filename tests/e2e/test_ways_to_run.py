"""Other ways to run the suite: one process, PostgreSQL, without settings, stopped and started, wrongly configured."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from deploy.demo.world import open_world
from tests.support.albums import is_complete, wanted
from tests.support.commands import run
from tests.support.suite import SERVICES, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("arguments", [(), ("--single-process",)])
async def test_an_album_arrives_in_one_process_and_in_many(arguments: tuple[str, ...], tmp_path: Path) -> None:
    async with open_world(tmp_path / "world") as world:
        album = world.albums.ten_times
        environment = suite_environment(tmp_path / "home", world.environment)
        async with running_suite(environment, *arguments) as suite:
            ended = await suite.ended((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])

        assert ended["state"] == "COMPLETED", ended
        assert is_complete(album, Path(world.environment["MUSIC_PATH"]))


async def test_an_album_arrives_with_postgresql(postgres_url: str, tmp_path: Path) -> None:
    async with open_world(tmp_path / "world") as world:
        album = world.albums.ten_times
        environment = suite_environment(tmp_path / "home", {**world.environment, "DATABASE_URL": postgres_url})
        async with running_suite(environment) as suite:
            ended = await suite.ended((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])

        assert ended["state"] == "COMPLETED", ended
        assert is_complete(album, Path(world.environment["MUSIC_PATH"]))
        assert not list((tmp_path / "home").glob("*.db"))


async def test_a_source_without_settings_fails_at_once_and_says_what_to_set(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {"MUSIC_PATH": str(tmp_path)})
    async with running_suite(environment) as suite:
        album = {"artist": "Someone", "title": "Something"}
        ended = await suite.ended((await suite.request(album=album, source="SOULSEEK"))["name"])

    assert ended["state"] == "FAILED"
    assert ended["failure"]["reason"] == "SOULSEEK_NOT_CONFIGURED"
    assert "soulseek.username" in ended["failure"]["message"]


async def test_what_was_asked_for_is_there_after_a_restart(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {"MUSIC_PATH": str(tmp_path)})
    async with running_suite(environment) as suite:
        name = (await suite.request(album={"artist": "Someone", "title": "Something"}, source="LIDARR"))["name"]
        await suite.ended(name)

    async with running_suite(environment) as suite:
        assert (await suite.ended(name))["name"] == name


async def test_the_first_start_prints_the_admin_key_once_and_it_works(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {})
    del environment["LOCKGROOVE_ADMIN_KEY"]
    async with running_suite(environment) as suite:
        shown = [line for line in suite.lines if "Admin API key" in line]
        key = shown[0].rsplit(" ", 1)[1]
        answer = await suite.client.get("/api/v1/settings", headers={"X-Api-Key": key})

    async with running_suite(environment) as again:
        shown_again = [line for line in again.lines if "Admin API key" in line]

    assert answer.status_code == 200
    assert len(shown) == 1
    assert not shown_again


async def test_ctrl_c_stops_everything_cleanly(tmp_path: Path) -> None:
    async with running_suite(suite_environment(tmp_path / "home", {})) as suite:
        pids = [suite.pid(service) for service in SERVICES]
        suite.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            status = await suite.process.wait()

    assert status == 0
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not [line for line in suite.lines if "Traceback" in line]


async def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    async with running_suite(suite_environment(tmp_path / "home", {})) as suite:
        pids = [suite.pid(service) for service in SERVICES]
        os.kill(suite.process.pid, signal.SIGKILL)

        async def gone() -> bool:
            return not any(Path(f"/proc/{pid}").exists() for pid in pids)

        assert await eventually(gone)


async def test_a_wrong_secret_key_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {"LOCKGROOVE_SECRET_KEY": "first-secret-key-0123456789abcdef"})
    async with running_suite(environment) as suite:
        await suite.client.patch("/api/v1/settings", json={"lidarr": {"apiKey": "kept"}})
    wrong = environment | {"LOCKGROOVE_SECRET_KEY": "other-secret-key-0123456789abcdef"}

    refused = await run("python", "-m", "services.config", environment=wrong)

    assert refused.status == 1
    assert "LOCKGROOVE_SECRET_KEY" in refused.output
    assert "Traceback" not in refused.output
    async with running_suite(environment) as suite:
        assert (await suite.client.get("/api/v1/settings")).json()["secretsSet"] == ["lidarr.apiKey"]


async def test_an_environment_that_does_not_parse_is_refused_by_name(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {"SOULSEEK_LISTEN_PORT": "many"})

    refused = await run("python", "-m", "services.config", environment=environment)

    assert refused.status == 1
    assert "SOULSEEK_LISTEN_PORT" in refused.output


async def test_in_one_process_a_service_that_cannot_start_ends_all_with_its_reason(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {"SOULSEEK_LISTEN_PORT": "many"})

    refused = await run("lockgroove", "up", "--single-process", environment=environment)

    assert refused.status == 1
    assert refused.output.splitlines()[-1].startswith("error: SOULSEEK_LISTEN_PORT")


async def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    environment = suite_environment(tmp_path / "home", {})
    async with running_suite(environment):
        refused = await run("python", "-m", "services.config", environment=environment)

    assert refused.status == 1
    assert "another program does" in refused.output
    assert "127.0.0.1:" in refused.output


async def test_a_port_that_is_no_port_is_refused(tmp_path: Path) -> None:
    refused = await run(
        "lockgroove", "up", environment=suite_environment(tmp_path / "home", {"LOCKGROOVE_PORT": "http"})
    )

    assert refused.status == 1
    assert "LOCKGROOVE_PORT" in refused.output
