import asyncio
import resource
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypedDict

import pytest

from deploy.demo.albums import Album, album_files
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.soulseek.errors import (
    CannotListen,
    Disconnected,
    Kicked,
    LocalDiskError,
    LoginRefused,
    PeerOffline,
    QueueTimeout,
    ServerUnreachable,
    SizeMismatch,
    TransferBroken,
    TransferRejected,
    TransferStalled,
)
from services.acquisition.soulseek.session import SoulseekSession

from .conftest import LogIn, OpenNetwork, OpenSession, account_on

SEARCH = timedelta(seconds=5)


class Limits(TypedDict):
    idle_timeout: timedelta
    queue_timeout: timedelta


def limits(*, idle: float = 10, queue: float = 10) -> Limits:
    return {"idle_timeout": timedelta(seconds=idle), "queue_timeout": timedelta(seconds=queue)}


PATIENT = limits()


async def offers(session: SoulseekSession, album: Album) -> list[Candidate]:
    return await session.search(f"{album.artist} {album.title}", timedelta(seconds=1.5))


async def first_file(session: SoulseekSession, album: Album) -> tuple[str, RemoteFile]:
    (offer,) = await offers(session, album)
    return offer.peer, min(offer.files, key=lambda file: file.path)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_search_finds_folders_with_what_their_peers_say_of_them(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...]
) -> None:
    world = await network(*(PeerPlan(username=name, albums=albums, speed=5000) for name in ("one", "two")))

    async with log_in(world) as session:
        found = await offers(session, albums[0])

    assert sorted(offer.peer for offer in found) == ["one", "two"]
    assert all(len(offer.files) == 5 and offer.folder.endswith(albums[0].folder_name) for offer in found)
    assert all(offer.free_slot and offer.speed == 5000 and offer.queue_length == 0 for offer in found)


async def test_a_search_ends_when_no_more_answers_come(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...]
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session, asyncio.timeout(5):
        assert len(await session.search(albums[0].title, timedelta(seconds=10))) == 1


async def test_a_search_that_nobody_answers_finds_nothing(network: OpenNetwork, log_in: LogIn) -> None:
    async with log_in(await network()) as session:
        assert await session.search("nobody has this", timedelta(seconds=0.5)) == []


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
        async with asyncio.timeout(4):
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
        async with asyncio.timeout(5):
            with pytest.raises(PeerOffline):
                await session.download(peer, file, tmp_path / "01.flac", **PATIENT)


async def test_a_peer_that_nobody_knows_is_offline(network: OpenNetwork, log_in: LogIn, tmp_path: Path) -> None:
    async with log_in(await network()) as session, asyncio.timeout(5):
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


async def test_waiting_for_another_file_of_ours_is_not_queueing(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="slow", albums=albums, upload_kbps=1024))

    async with log_in(world) as session:
        (offer,) = await offers(session, albums[0])
        await asyncio.gather(
            *(
                session.download(offer.peer, file, tmp_path / f"{at}.flac", **limits(queue=1))
                for at, file in enumerate(offer.files)
            )
        )

    assert len(list(tmp_path.glob("*.flac"))) == 5


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
        with pytest.raises(TransferStalled, match="slower than 5 KiB/s"):
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


async def test_a_kick_ends_the_session_and_what_runs_on_it(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums, upload_kbps=64))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        running = asyncio.create_task(session.download(peer, file, tmp_path / "01.flac", **PATIENT))
        await until(lambda: world.peers["one"].uploads)
        await world.server.kick("lockgroove")

        assert isinstance(await session.ended(), Kicked)
        with pytest.raises(Disconnected):
            await running


async def test_a_lost_connection_ends_the_session(network: OpenNetwork, log_in: LogIn) -> None:
    world = await network()

    async with log_in(world) as session:
        world.server.drop("lockgroove")

        assert isinstance(await session.ended(), Disconnected)
        with pytest.raises(Disconnected):
            await session.search("anything", SEARCH)


async def test_a_wrong_password_is_refused(network: OpenNetwork, opened: OpenSession) -> None:
    world = await network()

    with pytest.raises(LoginRefused, match=r"INVALIDPASS.*soulseek\.password"):
        async with opened(account_on(world, password="wrong")):
            pass


async def test_a_server_that_is_not_there_is_named(network: OpenNetwork, opened: OpenSession) -> None:
    world = await network()
    await world.server.close()

    with pytest.raises(ServerUnreachable, match=str(world.port)):
        async with opened(account_on(world)):
            pass


async def test_an_address_that_is_not_ours_cannot_be_listened_on(network: OpenNetwork, opened: OpenSession) -> None:
    world = await network()

    with pytest.raises(CannotListen, match=r"192\.0\.2\.1.*soulseek\.listenPort"):
        async with opened(replace(account_on(world), listen_host="192.0.2.1")):
            pass


async def test_the_environment_does_not_reach_the_client(
    network: OpenNetwork, log_in: LogIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await network()
    for name, value in {"DEBUG": "1", "USERS": "bob", "SHARES": '{"download": "/nowhere"}'}.items():
        monkeypatch.setenv(name, value)

    async with log_in(world) as session:
        assert session._client.settings.shares.download != "/nowhere"


async def test_a_session_leaves_the_loops_exception_handler_alone(network: OpenNetwork, log_in: LogIn) -> None:
    before = asyncio.get_running_loop().get_exception_handler()

    async with log_in(await network()):
        assert asyncio.get_running_loop().get_exception_handler() is before


async def test_searches_and_downloads_are_counted(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path, metrics: Metrics
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with log_in(world) as session:
        peer, file = await first_file(session, albums[0])
        await session.download(peer, file, tmp_path / "01.flac", **PATIENT)
        with pytest.raises(PeerOffline):
            await session.download("nobody", file, tmp_path / "02.flac", **PATIENT)

    rendered = metrics.render().decode()
    assert 'lockgroove_soulseek_searches_total{status="success"} 1.0' in rendered
    assert 'lockgroove_soulseek_downloads_total{status="success"} 1.0' in rendered
    assert 'lockgroove_soulseek_downloads_total{status="peer_offline"} 1.0' in rendered
