"""SIGKILL of the acquisition service while an album is verified, or while it enters the library: it enters once."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.demo.albums import invent_albums
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.world import World
from tests.support.albums import is_complete, wanted
from tests.support.suite import Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_SIGHT = 60.0  # seconds for the moment to come


@pytest.mark.parametrize(("moment", "seed"), [("VERIFYING", 4401), ("IMPORTING", 4402)])
async def test_a_kill_in_the_most_delicate_moment_ends_with_one_album(
    suite: Suite, world: World, music: Path, moment: str, seed: int
) -> None:
    album = invent_albums(1, seed=seed, tracks=3)[0]
    await world.soulseek.join(PeerPlan(username=f"shelf-{seed}", albums=(album,)))
    name = (await suite.request(album=wanted(album), source="SOULSEEK"))["name"]

    if moment == "VERIFYING":
        await _kill_when_verifying(suite, name)
    else:
        await asyncio.to_thread(_kill_when, _publishing(music, name), suite.pid("acquisition"))
    ended = await suite.ended(name, within=120)

    assert ended["state"] == "COMPLETED", ended
    assert [attempt["state"] for attempt in ended["attempts"]] == ["SUCCEEDED"]
    assert is_complete(album, music)
    assert _left(world, music) == []


async def _kill_when_verifying(suite: Suite, name: str) -> None:
    async def verifying() -> bool:
        return (await suite.acquisition(name) or {}).get("state") == "VERIFYING"

    await eventually(verifying, within=_SIGHT, every=0.005)
    await suite.kill("acquisition")


def _publishing(music: Path, name: str) -> Callable[[], bool]:
    """Whether the album is being built in the library's incoming folder."""
    incoming, own = music / ".lockgroove-incoming", name.removeprefix("acquisitions/")
    return lambda: incoming.is_dir() and any(path.name.startswith(own) for path in incoming.iterdir())


def _kill_when(seen: Callable[[], bool], pid: int | None) -> None:
    """In a thread that does nothing else: the moment lasts milliseconds."""
    assert pid is not None
    deadline = time.monotonic() + _SIGHT
    while not seen():
        assert time.monotonic() < deadline, "the moment never came"
    os.kill(pid, signal.SIGKILL)


def _left(world: World, music: Path) -> list[Path]:
    """What is left outside the library."""
    downloads = Path(world.environment["DOWNLOAD_PATH"])
    staged = [path for path in downloads.rglob("*") if path.is_file()]
    return [*staged, *(music / ".lockgroove-incoming").iterdir()]
