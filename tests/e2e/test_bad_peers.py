"""Peers at their worst: nothing of theirs enters the library, and none of them costs more than its time."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.demo.albums import Album, Track, album_files, invent_albums
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from deploy.demo.world import World
from tests.support.albums import contents, folder_of, is_complete, wanted
from tests.support.suite import Suite
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120), pytest.mark.one_process]

IDLE = timedelta(seconds=3)  # as the world's settings say
MODEST = 4 * 1024  # bytes/s that a peer says of itself: the others are asked first
LONG = "An Endless Name " * 18

_Json = dict[str, Any]


@pytest.fixture(scope="module")
def albums() -> Iterator[Album]:
    """Albums that nobody else asks for."""
    return iter(invent_albums(12, seed=1108, tracks=2))


@pytest.fixture
def album(albums: Iterator[Album]) -> Album:
    return next(albums)


async def join(world: World, album: Album, *behaviours: Behaviour, **options: Any) -> None:
    for behaviour in behaviours:
        name = f"{behaviour}-{len(world.soulseek.peers)}"
        await world.soulseek.join(PeerPlan(username=name, albums=(album,), behaviour=behaviour, **options))


async def ask(suite: Suite, album: Album) -> str:
    return str((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])


async def in_state(suite: Suite, name: str, *states: str, within: float = 60.0) -> _Json:
    async def there() -> _Json | None:
        found = await suite.acquisition(name)
        return found if found and found["state"] in states else None

    return await eventually(there, within=within)


async def cancel(suite: Suite, name: str) -> _Json:
    answer = await suite.client.post(f"/api/v1/{name}:cancel", json={})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_nothing_of_bad_peers_enters_the_library_and_every_try_tells_why(
    suite: Suite, world: World, music: Path, album: Album
) -> None:
    await join(world, album, Behaviour.OTHER_TAGS, Behaviour.TRUNCATED, Behaviour.RENAMED_TEXT, Behaviour.SHORT)

    name = await ask(suite, album)
    waiting = await in_state(suite, name, "WAITING", "FAILED")

    reasons = {attempt["peer"].rpartition("-")[0]: attempt["reason"] for attempt in waiting["attempts"]}
    assert reasons == {
        "other-tags": "WRONG_TAGS",
        "truncated": "TRUNCATED",
        "renamed-text": "NOT_DECODABLE",
        "short": "SIZE_MISMATCH",
    }
    assert all(attempt["state"] == "FAILED" and attempt["error"] for attempt in waiting["attempts"])
    assert not (music / album.artist).exists()
    await cancel(suite, name)


async def test_a_stalled_peer_costs_about_its_idle_timeout(suite: Suite, world: World, album: Album) -> None:
    await join(world, album, Behaviour.STALLING)

    name = await ask(suite, album)
    (attempt,) = (await in_state(suite, name, "WAITING", "FAILED"))["attempts"]

    took = datetime.fromisoformat(attempt["endTime"]) - datetime.fromisoformat(attempt["startTime"])
    assert attempt["reason"] == "TRANSFER_STALLED"
    assert IDLE <= took < IDLE + timedelta(minutes=1)  # and not the minutes that the library would wait
    await cancel(suite, name)


async def test_a_cancelled_download_stops_at_once_and_can_be_asked_for_again(
    suite: Suite, world: World, music: Path, album: Album
) -> None:
    await join(world, album, Behaviour.HONEST, upload_kbps=40)
    await join(world, album, Behaviour.HONEST, speed=MODEST)  # now: the same search is one on the network for a minute
    name = await ask(suite, album)
    downloads = Path(world.environment["DOWNLOAD_PATH"])
    staging = downloads / name.removeprefix("acquisitions/")

    async def arriving() -> bool:
        return any(path.stat().st_size for path in files_below(staging))

    await eventually(arriving, within=30)

    cancelled = await cancel(suite, name)

    assert cancelled["state"] == "CANCELLED"
    assert [attempt["state"] for attempt in cancelled["attempts"]] == ["STOPPED"]
    assert not staging.exists()
    await world.soulseek.peers[cancelled["attempts"][0]["peer"]].stop()
    again = await suite.ended(await ask(suite, album))
    assert (again["state"], again["name"] != name) == ("COMPLETED", True)
    assert is_complete(album, music)


def _walk_up(album: Album, track: Track) -> str:
    return f"@@x\\..\\..\\..\\..\\{album.folder_name}\\{track.file_name}"


def _control(album: Album, track: Track) -> str:
    return f"C:\\\x1b[31mNUL\\{album.folder_name}\r\n\\{track.number:02} - \x07{track.title}.flac"


def _reserved(album: Album, track: Track) -> str:
    return f"CON\\AUX\\{album.folder_name}\\{track.number:02} - {track.title} - NUL.flac"


def _endless(album: Album, track: Track) -> str:
    return f"@@{LONG}\\{album.folder_name}\\{track.file_name}"


def _slashes(album: Album, track: Track) -> str:
    return f"/etc\\\\//{album.folder_name}//{track.number:02} - {track.title}.flac"


@pytest.mark.parametrize("spelling", [_walk_up, _control, _reserved, _endless, _slashes])
async def test_a_peers_paths_decide_nothing_about_ours(
    suite: Suite, world: World, music: Path, album: Album, spelling: Any
) -> None:
    await join(world, album, Behaviour.HONEST, remote_path=spelling)
    name = await ask(suite, album)

    found = await in_state(suite, name, "COMPLETED", "WAITING", "FAILED")

    if found["state"] == "COMPLETED":
        assert is_complete(album, music)
        names = sorted(path.name for path in folder_of(album, music).iterdir())
        assert names == [f"{track.number:02} {track.title}.flac" for track in album.tracks]
    else:
        assert spelling is _walk_up, found["attempts"]
        assert not (music / album.artist).exists()
        await cancel(suite, name)
    assert _strays(world, music) == []


async def test_hostile_names_in_wish_and_tags_stay_in_their_place(
    suite: Suite, world: World, music: Path, album: Album
) -> None:
    titles = ("../../Up And Away\\", f"CON: \x1b[31mRed\x07 {LONG}")
    tracks = tuple(replace(track, title=title) for track, title in zip(album.tracks, titles, strict=True))
    hostile = replace(album, artist="../..\\NUL.. ", title=".Hidden: /Trail.", tracks=tracks)
    shared = "NUL - Hidden Trail"
    await join(world, hostile, Behaviour.HONEST, remote_path=lambda _, track: f"x\\{shared}\\{track.number:02}.flac")

    ended = await in_state(suite, await ask(suite, hostile), "COMPLETED", "WAITING", "FAILED")

    assert ended["state"] == "COMPLETED", [attempt["error"] for attempt in ended["attempts"]]
    folder = music / "-..-NUL" / f"Hidden - -Trail ({album.year})"
    assert contents(folder) == list(album_files(hostile))
    first, second = sorted(path.name for path in folder.iterdir())
    assert first == "01 ..-..-Up And Away-.flac"
    assert second.startswith("02 CON - [31mRed An Endless Name")
    assert len(second.encode()) <= 255
    assert _strays(world, music) == []


def _strays(world: World, music: Path) -> list[Path]:
    """Files of the world that are neither in the library nor in a peer's share nor being downloaded."""
    root, downloads = music.parent, Path(world.environment["DOWNLOAD_PATH"])
    places = (music, downloads, root / "peers")
    around = files_below(root.parent)
    audio = [path for path in around if path.suffix == ".flac" or path.name.endswith(".part")]
    return [path for path in audio if not any(path.is_relative_to(place) for place in places)]
