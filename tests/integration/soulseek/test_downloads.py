"""Downloads from peers of every kind."""

import asyncio
import resource
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from aioslsk.protocol.messages import ConnectToPeer

from deploy.demo.albums import Album, album_files
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from libs.clock import SystemClock
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.peer_faults import (
    PeerOffline,
    QueueTimeout,
    TransferBroken,
    TransferRejected,
    TransferStalled,
    TransferTooSlow,
)
from services.acquisition.domain.reputation import is_remembered
from services.acquisition.soulseek.errors import LocalDiskError, SizeMismatch, TransferTaken

from .conftest import LogIn, OpenNetwork
from .fetching import PATIENT, first_file, hang_up, limits, offers, until


async def test_a_file_arrives_byte_for_byte_at_exactly_its_target(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    target = tmp_path / "staging" / "01.flac"
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        announced = await session.download(*await first_file(session, albums[0]), target, **PATIENT)

    assert target.read_bytes() == album_files(albums[0])[0]
    assert announced == target.stat().st_size
    assert list(target.parent.iterdir()) == [target]


async def test_what_lies_at_the_target_is_not_resumed(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    target = tmp_path / "01.flac"
    target.write_bytes(b"left by a crash")
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        await session.download(*await first_file(session, albums[0]), target, **PATIENT)

    assert target.read_bytes() == album_files(albums[0])[0]


async def test_the_same_file_can_be_fetched_again(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        for name in ("a.flac", "b.flac"):
            await session.download(peer, file, tmp_path / name, **PATIENT)

    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


async def test_a_file_that_comes_already_is_no_fault_of_its_peer(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums, behaviour=Behaviour.STALLING))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        both = [
            asyncio.create_task(session.download(peer, file, tmp_path / name, **PATIENT))
            for name in ("a.flac", "b.flac")
        ]
        done, stalled = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in stalled:
            task.cancel()
            await asyncio.wait([task])

    (refused,) = (task.exception() for task in done)
    assert isinstance(refused, TransferTaken)
    assert not is_remembered(refused.reason)


async def test_progress_ends_with_the_whole_size(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    told: list[int] = []
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        await session.download(peer, file, tmp_path / "01.flac", **PATIENT, on_progress=told.append)

    assert told[-1] == file.size
    assert told == sorted(told)


async def test_a_stall_costs_the_idle_timeout(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="stalling", albums=albums, behaviour=Behaviour.STALLING))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        async with asyncio.timeout(30):
            with pytest.raises(TransferStalled, match=r"stalling stopped sending .*flac: no new byte for 1 s"):
                await session.download(peer, file, tmp_path / "01.flac", **limits(idle=1, queue=60))

    assert list(tmp_path.glob("*.flac")) == []


async def test_a_peer_that_vanishes_breaks_off(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    plan = PeerPlan(username="vanishing", albums=albums, behaviour=Behaviour.VANISHING, upload_kbps=1024)
    world = await network(plan)

    async with log_in(world) as session:
        with pytest.raises((TransferBroken, PeerOffline)):
            await session.download(*await first_file(session, albums[0]), tmp_path / "01.flac", **PATIENT)

    assert list(tmp_path.glob("*.flac")) == []


async def test_a_peer_that_went_offline_is_named_at_once(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        await world.peers["one"].stop()
        async with asyncio.timeout(30):
            with pytest.raises(PeerOffline):
                await session.download(peer, file, tmp_path / "01.flac", **PATIENT)


async def test_a_peer_that_nobody_knows_is_offline(network: OpenNetwork, log_in: LogIn, tmp_path: Path) -> None:
    async with log_in(await network()) as session, asyncio.timeout(30):
        with pytest.raises(PeerOffline):
            await session.download("nobody", RemoteFile(path="x\\01.flac", size=1), tmp_path / "01.flac", **PATIENT)


async def test_a_busy_peer_is_left_after_the_queue_timeout(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="busy", albums=albums, upload_kbps=64))

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(log_in(world))
        peer, file = await first_file(session, albums[0])
        for name in ("first", "second"):  # its upload slots
            client = await stack.enter_async_context(world.client(name, name, download=tmp_path / name))
            await client.transfers.download(peer, file.path)
        await until(lambda: len(world.peers["busy"].uploads) == 2)

        with pytest.raises(QueueTimeout, match="within 1 s"):
            await session.download(peer, file, tmp_path / "01.flac", **limits(queue=1))


async def test_the_place_in_a_peers_queue_is_told(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="queueing", albums=albums, behaviour=Behaviour.QUEUEING))
    told: list[int] = []

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        fetching = asyncio.create_task(
            session.download(peer, file, tmp_path / "01.flac", **limits(queue=4), on_place=told.append)
        )
        await until(lambda: told or fetching.done())
        fetching.cancel()
        await asyncio.wait([fetching])

    assert told == [3]


async def test_a_peer_that_lost_our_request_is_asked_again(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="forgetful", albums=albums, behaviour=Behaviour.FORGETFUL))

    async with log_in(world) as session:
        await session.download(*await first_file(session, albums[0]), tmp_path / "01.flac", **limits(queue=6))

    assert (tmp_path / "01.flac").read_bytes() == album_files(albums[0])[0]


async def test_a_peer_that_can_be_reached_is_not_asked_to_connect_to_us_as_well(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        await hang_up(session)
        await session.download(peer, file, tmp_path / "01.flac", **PATIENT)

    assert world.server.received(ConnectToPeer.Request, "lockgroove") == []


async def test_a_peer_that_cannot_be_reached_connects_to_us(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="walled", albums=albums))
    world.server.close_port("walled")

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        await hang_up(session)
        await session.download(peer, file, tmp_path / "01.flac", **PATIENT)

    assert (tmp_path / "01.flac").read_bytes() == album_files(albums[0])[0]


async def test_waiting_for_another_file_of_ours_is_not_queueing(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="slow", albums=albums, upload_kbps=1024))

    async with log_in(world) as session:
        (offer,) = await offers(session, albums[0])
        await asyncio.gather(
            *(
                session.download(offer.peer, file, tmp_path / f"{at}.flac", **limits(queue=1))
                for at, file in enumerate(offer.files[:3])
            )
        )

    assert len(list(tmp_path.glob("*.flac"))) == 3


class HastyClock(SystemClock):
    """A minute of waiting takes a third of a second."""

    def monotonic(self) -> float:
        return super().monotonic() * 180


@pytest.mark.parametrize("clock", [HastyClock()])
async def test_a_peer_that_dribbles_is_left(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="dribbling", albums=albums, upload_kbps=64))

    async with log_in(world) as session:
        found = await session.search(albums[0].title, timedelta(minutes=3))
        with pytest.raises(TransferTooSlow, match="slower than 5 KiB/s"):
            await session.download(
                "dribbling", found[0].files[0], tmp_path / "01.flac", **limits(idle=3600, queue=3600)
            )


async def test_a_peer_that_announces_another_size_is_refused(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="short", albums=albums, behaviour=Behaviour.SHORT))

    async with log_in(world) as session:
        with pytest.raises(SizeMismatch, match="announced"):
            await session.download(*await first_file(session, albums[0]), tmp_path / "01.flac", **PATIENT)


async def test_a_file_that_is_not_shared_is_refused_by_its_peer(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        with pytest.raises(TransferRejected, match="not shared"):
            await session.download("one", RemoteFile(path="x\\01.flac", size=1), tmp_path / "01.flac", **PATIENT)


@pytest.mark.parametrize(
    "name", [r"..\..\..\escape.flac", "@@a\\CON\\nul.flac", "@@a\\" + "x" * 300 + ".flac", "/etc/passwd"]
)
async def test_a_peers_name_never_becomes_a_path_of_ours(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path, name: str
) -> None:
    album = albums[0]
    shared_as = f"{album.artist} {album.title}{name}"
    plan = PeerPlan(username="hostile", albums=(album,), remote_path=lambda _, track: f"{shared_as} {track.number}")
    world = await network(plan)
    target = tmp_path / "in" / "staging" / "01.flac"

    async with log_in(world) as session:
        (offer, *_) = await offers(session, albums[0])
        await session.download(offer.peer, offer.files[0], target, **PATIENT)

    assert [path for path in (tmp_path / "in").rglob("*") if path.is_file()] == [target]


async def test_a_target_that_cannot_be_written_is_our_fault(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        with pytest.raises(LocalDiskError, match=r"file/01\.flac"):
            await session.download(*await first_file(session, albums[0]), tmp_path / "file" / "01.flac", **PATIENT)


async def test_a_disk_that_fills_up_is_our_fault(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        try:
            with pytest.raises(LocalDiskError, match="too large"):
                await session.download(peer, file, tmp_path / "01.flac", **PATIENT)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert list(tmp_path.glob("*.flac")) == []


async def test_a_cancelled_download_leaves_nothing_and_writes_no_more(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums, upload_kbps=256))
    arrived = asyncio.Event()

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        running = asyncio.create_task(
            session.download(peer, file, tmp_path / "01.flac", **PATIENT, on_progress=lambda _: arrived.set())
        )
        await arrived.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

        assert list(tmp_path.glob("*.flac")) == []
