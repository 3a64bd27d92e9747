"""What others can have from us, and what they cannot."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aioslsk.protocol.messages import SharedFoldersFiles
from aioslsk.transfer.state import TransferState
from structlog.testing import capture_logs

from deploy.demo.albums import Album, write_album
from deploy.demo.soulseek.client import LoopbackClient
from deploy.demo.soulseek.world import SoulseekWorld
from services.acquisition.domain.providers import Sharing
from services.acquisition.soulseek.session import SoulseekSession

from .conftest import LogIn, OpenNetwork
from .fetching import until


@pytest.fixture
def music(tmp_path: Path, albums: tuple[Album, ...]) -> list[Path]:
    """The files of an album in the folder that we share."""
    return write_album(albums[0], tmp_path / "music")


@pytest.fixture
async def world(network: OpenNetwork) -> SoulseekWorld:
    return await network()


@pytest.fixture
async def session(world: SoulseekWorld, log_in: LogIn) -> AsyncIterator[SoulseekSession]:
    async with log_in(world) as session:
        yield session


@pytest.fixture
async def other(world: SoulseekWorld, tmp_path: Path) -> AsyncIterator[LoopbackClient]:
    async with world.client("other", "other", download=tmp_path / "theirs") as client:
        yield client


def told(world: SoulseekWorld) -> int:
    """How many files we told the server that we share."""
    said = world.server.received(SharedFoldersFiles.Request, "lockgroove")
    return said[-1].shared_file_count if said else 0


async def shares(world: SoulseekWorld, session: SoulseekSession, sharing: Sharing, *, files: int) -> None:
    session.share(sharing)
    await until(lambda: told(world) == files)


async def found(other: LoopbackClient, query: str) -> list[str]:
    request = await other.searches.search(query)
    await until(lambda: request.results)
    return [item.filename for item in request.results[0].shared_items]


async def ends_as(other: LoopbackClient, path: str) -> TransferState.State:
    transfer = await other.transfers.download("lockgroove", path)
    await until(transfer.is_finalized)
    return transfer.state.VALUE


async def test_what_we_share_reaches_others_byte_for_byte(
    world: SoulseekWorld, session: SoulseekSession, other: LoopbackClient, music: list[Path], tmp_path: Path
) -> None:
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))

    for path in await found(other, music[0].stem):
        assert await ends_as(other, path) is TransferState.COMPLETE

    (arrived,) = (path for path in (tmp_path / "theirs").iterdir() if path.is_file())
    assert arrived.read_bytes() == music[0].read_bytes()


async def test_nothing_but_music_in_the_folder_is_shared(
    world: SoulseekWorld, session: SoulseekSession, music: list[Path], tmp_path: Path
) -> None:
    folder, outside = tmp_path / "music", tmp_path / "outside.flac"
    outside.write_bytes(b"not ours to give")
    (folder / "downloads").mkdir()
    (folder / ".hidden").mkdir()
    for name in ("downloads/staged.flac", ".hidden/01.flac", ".01.flac", "passwords.txt"):
        (folder / name).write_bytes(b"private")
    (folder / "link.flac").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    (folder / "inner.flac").symlink_to(music[0])

    await shares(world, session, Sharing(folder=folder, private=(folder / "downloads",)), files=len(music) + 1)

    names = {item.filename for shared in session._client.shares.shared_directories for item in shared.items}
    assert names == {path.name for path in music} | {"inner.flac"}


@pytest.mark.parametrize("trick", ["..\\outside.flac", "..\\..\\etc\\passwd", "x\\..\\..\\outside.flac", "/etc/passwd"])
async def test_a_path_that_leads_out_of_the_folder_is_no_file_of_ours(
    world: SoulseekWorld,
    session: SoulseekSession,
    other: LoopbackClient,
    music: list[Path],
    tmp_path: Path,
    trick: str,
) -> None:
    (tmp_path / "outside.flac").write_bytes(b"not ours to give")
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))
    (path,) = await found(other, music[0].stem)
    root = path.split("\\")[0]

    assert await ends_as(other, f"{root}\\{trick}") is TransferState.FAILED


async def test_a_file_that_became_a_way_out_of_the_folder_is_not_given(
    world: SoulseekWorld, session: SoulseekSession, other: LoopbackClient, music: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "outside.flac").write_bytes(b"not ours to give")
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))
    (path,) = await found(other, music[0].stem)
    music[0].unlink()
    music[0].symlink_to(tmp_path / "outside.flac")

    assert await ends_as(other, path) is TransferState.FAILED


async def test_a_folder_that_is_not_there_shares_nothing_and_is_named(
    world: SoulseekWorld, session: SoulseekSession, music: list[Path], tmp_path: Path
) -> None:
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))

    with capture_logs() as logs:
        await shares(world, session, Sharing(folder=tmp_path / "gone"), files=0)

    assert any(log["event"] == "soulseek.not_scanned" and log["folder"].endswith("gone") for log in logs)


async def test_who_browses_sees_what_is_shared_now(
    world: SoulseekWorld, session: SoulseekSession, music: list[Path], tmp_path: Path
) -> None:
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))
    listed, _ = session._client.shares.create_shares_reply("other")
    await shares(world, session, Sharing(), files=0)

    assert sum(len(folder.files) for folder in listed) == len(music)
    assert session._client.shares.create_shares_reply("other") == ([], [])


async def test_nobody_queues_more_than_ever_comes_to_its_turn(
    world: SoulseekWorld,
    session: SoulseekSession,
    other: LoopbackClient,
    music: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.acquisition.soulseek.client.MAX_UPLOADS_OF_ONE", 0)
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))
    (path,) = await found(other, music[0].stem)

    assert await ends_as(other, path) is TransferState.FAILED
    assert session._client.transfers.get_uploads() == []


async def test_another_folder_is_obeyed_in_the_same_session(
    world: SoulseekWorld, session: SoulseekSession, other: LoopbackClient, music: list[Path], tmp_path: Path
) -> None:
    await shares(world, session, Sharing(folder=tmp_path / "music"), files=len(music))
    (path,) = await found(other, music[0].stem)

    await shares(world, session, Sharing(upload_slots=5), files=0)

    assert await ends_as(other, path) is TransferState.FAILED
    assert session._client.transfers.get_upload_slots() == 5
    assert world.logins("lockgroove") == 1


async def test_a_folder_that_hangs_keeps_nobody_waiting(
    world: SoulseekWorld, session: SoulseekSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, goes_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: object) -> set[object]:
        loop.call_soon_threadsafe(reached.set)
        goes_on.wait()
        return set()

    monkeypatch.setattr("services.acquisition.soulseek.shares._shareable", hang)
    session.share(Sharing(folder=tmp_path))
    await reached.wait()
    async with asyncio.timeout(5):
        await session.close()
    goes_on.set()
