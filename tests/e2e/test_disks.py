"""Disks that refuse: the failure names the folder, no peer is blamed, and a retry after the repair brings the album."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from deploy.demo.albums import Album, album_files, invent_albums, padded
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.world import World
from tests.support.albums import contents, folder_of, is_complete, wanted
from tests.support.suite import Suite

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

BIG = 12 << 20
FILE_LIMIT = 8 << 20  # less than a track, more than the service's database

_Json = dict[str, Any]


@pytest.fixture(scope="module")
def albums() -> Iterator[Album]:
    """Albums that nobody else asks for."""
    return iter(invent_albums(4, seed=2207, tracks=2))


@pytest_asyncio.fixture(loop_scope="module")
async def album(albums: Iterator[Album], world: World) -> Album:
    album = next(albums)
    await world.soulseek.join(PeerPlan(username=f"shelf-{album.mbid[:8]}", albums=(album,)))
    return album


async def acquired(suite: Suite, album: Album) -> _Json:
    return await suite.ended((await suite.request(album=wanted(album), source="SOULSEEK"))["name"])


async def retried(suite: Suite, failed: _Json) -> _Json:
    answer = await suite.client.post(f"/api/v1/{failed['name']}:retry", json={})
    assert answer.status_code == 200, answer.text
    return await suite.ended(failed["name"])


async def use(suite: Suite, music: Path | None) -> None:
    answer = await suite.client.patch("/api/v1/settings", json={"storage": {"musicPath": music and str(music)}})
    assert answer.status_code == 200, answer.text


async def test_a_music_folder_that_cannot_be_there_is_named_until_it_is_mended(
    suite: Suite, album: Album, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    music = tmp_path / "file" / "music"
    await use(suite, music)

    failed = await acquired(suite, album)

    assert (failed["state"], failed["failure"]["reason"]) == ("FAILED", "LIBRARY_MISSING")
    assert str(music) in failed["failure"]["message"]
    assert failed["attempts"] == []
    (tmp_path / "file").unlink()
    music.mkdir(parents=True)
    assert (await retried(suite, failed))["state"] == "COMPLETED"
    assert is_complete(album, music)
    await use(suite, None)


async def test_a_music_folder_that_cannot_be_written_is_named_until_it_is_mended(
    suite: Suite, album: Album, tmp_path: Path
) -> None:
    (tmp_path / ".lockgroove-incoming").touch()  # in the way, also of root
    await use(suite, tmp_path)

    failed = await acquired(suite, album)

    assert (failed["state"], failed["failure"]["reason"]) == ("FAILED", "LIBRARY_NOT_WRITABLE")
    assert str(tmp_path) in failed["failure"]["message"]
    assert failed["attempts"] == []
    (tmp_path / ".lockgroove-incoming").unlink()
    assert (await retried(suite, failed))["state"] == "COMPLETED"
    assert is_complete(album, tmp_path)
    await use(suite, None)


async def test_a_disk_that_fills_up_leaves_nothing_and_a_retry_brings_the_album(
    suite: Suite, world: World, music: Path
) -> None:
    album = invent_albums(1, seed=2208, tracks=2)[0]
    await world.soulseek.join(PeerPlan(username="big-shelf", albums=(album,), size=BIG))
    downloads = Path(world.environment["DOWNLOAD_PATH"])

    with files_limited_to(FILE_LIMIT, suite.pid("acquisition")):
        failed = await acquired(suite, album)

    assert (failed["state"], failed["failure"]["reason"]) == ("FAILED", "DISK_FULL"), failed
    assert str(downloads) in failed["failure"]["message"]
    assert not (downloads / failed["name"].removeprefix("acquisitions/")).exists()
    assert not (music / album.artist).exists()
    assert (await retried(suite, failed))["state"] == "COMPLETED"
    assert contents(folder_of(album, music)) == [padded(file, BIG) for file in album_files(album)]


@contextmanager
def files_limited_to(size: int, pid: int | None) -> Iterator[None]:
    """As if the disk of a running process had so little room for each file."""
    process = psutil.Process(pid)
    soft, hard = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, (soft, hard))
