"""Other ways to run the suite: one process, PostgreSQL, without settings, stopped and started, wrongly configured."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.demo.world import open_world
from tests.support.albums import is_complete, wanted
from tests.support.commands import Ran, run
from tests.support.suite import SERVICES, Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_KEY = "first-secret-key-0123456789abcdef"
_WRONG_KEY = "other-secret-key-0123456789abcdef"


async def test_an_album_arrives_in_one_process(tmp_path: Path) -> None:
    async with open_world(tmp_path / "world") as world:
        album = world.albums.ten_times
        environment = suite_environment(tmp_path / "home", world.environment)
        async with running_suite(environment, "--single-process") as suite:
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


@dataclass(frozen=True, kw_only=True)
class TwoStarts:
    """What a suite without settings did until Ctrl-C, who was refused in between, and the suite as it runs again."""

    printed: list[str]
    asked: Json
    pids: list[int | None]
    status: int
    refused: Ran
    again: Suite


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started_twice(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TwoStarts]:
    extra = {"MUSIC_PATH": str(tmp_path_factory.mktemp("music")), "LOCKGROOVE_SECRET_KEY": _KEY}
    environment = suite_environment(tmp_path_factory.mktemp("home"), extra)
    del environment["LOCKGROOVE_ADMIN_KEY"]
    async with running_suite(environment, first_start=True) as suite:
        key = _admin_keys(suite.lines)[0]
        suite.client.headers["X-Api-Key"] = key
        await suite.client.patch("/api/v1/settings", json={"lidarr": {"apiKey": "kept"}})
        album = {"artist": "Someone", "title": "Something"}
        asked = await suite.ended((await suite.request(album=album, source="SOULSEEK"))["name"])
        pids = [suite.pid(service) for service in SERVICES]
        suite.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            status = await suite.process.wait()
    wrong = {**environment, "LOCKGROOVE_SECRET_KEY": _WRONG_KEY}
    refused = await run("python", "-m", "services.config", environment=wrong)
    async with running_suite(environment) as again:
        again.client.headers["X-Api-Key"] = key
        yield TwoStarts(printed=suite.lines, asked=asked, pids=pids, status=status, refused=refused, again=again)


def _admin_keys(lines: Sequence[str]) -> list[str]:
    return [line.rsplit(" ", 1)[1] for line in lines if "Admin API key" in line]


async def test_a_source_without_settings_fails_at_once_and_says_what_to_set(started_twice: TwoStarts) -> None:
    failure = started_twice.asked["failure"]

    assert started_twice.asked["state"] == "FAILED"
    assert failure["reason"] == "SOULSEEK_NOT_CONFIGURED"
    assert "soulseek.username" in failure["message"]


async def test_what_was_asked_for_is_there_after_a_restart(started_twice: TwoStarts) -> None:
    assert await started_twice.again.acquisition(started_twice.asked["name"]) == started_twice.asked


async def test_the_first_start_prints_the_admin_key_once_and_it_works(started_twice: TwoStarts) -> None:
    [key] = _admin_keys(started_twice.printed)

    answer = await started_twice.again.client.get("/api/v1/settings", headers={"X-Api-Key": key})

    assert answer.status_code == 200
    assert not _admin_keys(started_twice.again.lines)


async def test_ctrl_c_stops_everything_cleanly(started_twice: TwoStarts) -> None:
    assert started_twice.status == 0
    assert None not in started_twice.pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in started_twice.pids)
    assert not [line for line in started_twice.printed if "Traceback" in line]


async def test_a_wrong_secret_key_is_refused_and_nothing_is_overwritten(started_twice: TwoStarts) -> None:
    refused = started_twice.refused

    assert refused.status == 1
    assert "LOCKGROOVE_SECRET_KEY" in refused.output
    assert "Traceback" not in refused.output
    settings = (await started_twice.again.client.get("/api/v1/settings")).json()
    assert settings["secretsSet"] == ["lidarr.apiKey"]


async def test_a_port_that_is_taken_is_named(started_twice: TwoStarts) -> None:
    refused = await run("python", "-m", "services.config", environment=started_twice.again.environment)

    assert refused.status == 1
    assert "another program does" in refused.output
    assert "127.0.0.1:" in refused.output


async def test_a_killed_supervisor_leaves_nobody_behind(tmp_path: Path) -> None:
    async with running_suite(suite_environment(tmp_path / "home", {})) as suite:
        pids = [suite.pid(service) for service in SERVICES]
        os.kill(suite.process.pid, signal.SIGKILL)

        async def gone() -> bool:
            return not any(Path(f"/proc/{pid}").exists() for pid in pids)

        assert await eventually(gone)


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


async def test_a_port_that_is_no_port_is_refused(tmp_path: Path) -> None:
    refused = await run(
        "lockgroove", "up", environment=suite_environment(tmp_path / "home", {"LOCKGROOVE_PORT": "http"})
    )

    assert refused.status == 1
    assert "LOCKGROOVE_PORT" in refused.output
