"""A session on the network: searches, and how it begins and ends."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.demo.albums import Album
from deploy.demo.soulseek.plan import PeerPlan
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.peer_faults import PeerOffline
from services.acquisition.soulseek.errors import CannotListen, Disconnected, Kicked, LoginRefused, ServerUnreachable

from .conftest import LogIn, OpenNetwork, OpenSession, account_on
from .fetching import PATIENT, SEARCH, first_file, offers, until


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

    async with log_in(world) as session, asyncio.timeout(11):
        assert len(await session.search(albums[0].title, timedelta(seconds=12))) == 1


async def test_a_search_that_nobody_answers_finds_nothing(network: OpenNetwork, log_in: LogIn) -> None:
    async with log_in(await network()) as session:
        assert await session.search("nobody has this", timedelta(seconds=0.5)) == []


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
