import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aioslsk.protocol.messages import SharedFoldersFiles
from sqlalchemy import MetaData

from deploy.demo.albums import Album
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import SystemClock
from libs.leases.hold import hold
from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.sql.engine import open_database
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.providers import Sharing
from services.acquisition.soulseek.errors import Kicked, LoginRefused, SoulseekAway, SoulseekOff
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.network import SoulseekNetwork, TimeLimits

from .conftest import OpenNetwork, OpenSession, account_on

SHORT = timedelta(milliseconds=50)
TTL = timedelta(seconds=2)


@pytest.fixture
async def leases(tmp_path: Path) -> AsyncIterator[SqlLeaseStore]:
    metadata = MetaData()
    table = lease_table(metadata)
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test") as database:
        async with database.writing() as connection:
            await connection.run_sync(metadata.create_all)
        yield SqlLeaseStore(database, table)


RunKeeper = Callable[[], AbstractAsyncContextManager[SessionKeeper]]


@pytest.fixture
def run_keeper(leases: SqlLeaseStore, opened: OpenSession, soulseek_metrics: SoulseekMetrics) -> RunKeeper:
    @asynccontextmanager
    async def run() -> AsyncIterator[SessionKeeper]:
        keeper = SessionKeeper(
            hold=lambda name: hold(leases, name, ttl=TTL, clock=SystemClock()),
            open_session=opened,
            metrics=soulseek_metrics,
            clock=SystemClock(),
            first_pause=SHORT,
            lease_pause=SHORT,
        )
        running = asyncio.create_task(keeper.run())
        try:
            yield keeper
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    return run


async def holder(leases: SqlLeaseStore, world: SoulseekWorld) -> str | None:
    lease = await leases.find(f"soulseek/{world.address}/lockgroove")
    return lease.holder if lease else None


async def reaches(keeper: SessionKeeper, state: KeeperState) -> None:
    async with asyncio.timeout(30):
        while keeper.state is not state:
            await asyncio.sleep(0.01)


async def stays(keeper: SessionKeeper, state: KeeperState) -> None:
    """For several times the pause after which it would try again."""
    async with asyncio.timeout(30):
        for _ in range(30):
            await asyncio.sleep(0.01)
            assert keeper.state is state


async def test_without_an_account_nobody_logs_in(run_keeper: RunKeeper) -> None:
    async with run_keeper() as keeper:
        await reaches(keeper, KeeperState.OFF)

        with pytest.raises(SoulseekOff, match=r"soulseek\.username"):
            keeper.session()


async def test_soulseek_that_is_switched_off_ends_the_session_and_says_so(
    network: OpenNetwork, run_keeper: RunKeeper
) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        keeper.follow(None, problem="Set soulseek.enabled.")
        await reaches(keeper, KeeperState.OFF)

        assert not world.server.is_online("lockgroove")
        assert keeper.message == "Set soulseek.enabled."


async def test_a_keeper_without_an_account_says_what_is_missing_now(run_keeper: RunKeeper) -> None:
    async with run_keeper() as keeper:
        await reaches(keeper, KeeperState.OFF)
        keeper.follow(None, problem="Set soulseek.enabled.")

        assert keeper.message == "Set soulseek.enabled."


async def test_an_account_is_logged_in(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)

        assert world.server.is_online("lockgroove")
        assert keeper.message == ""


async def test_the_end_of_the_keeper_is_the_end_of_the_session(
    network: OpenNetwork, run_keeper: RunKeeper, leases: SqlLeaseStore
) -> None:
    world = await network()
    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)

    assert await holder(leases, world) is None
    with pytest.raises(SoulseekAway):
        keeper.session()


async def test_a_second_keeper_of_the_account_never_logs_in(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as first, run_keeper() as second:
        first.follow(account_on(world))
        await reaches(first, KeeperState.CONNECTED)
        second.follow(account_on(world))
        await reaches(second, KeeperState.WAITING)
        await stays(second, KeeperState.WAITING)

    assert world.logins("lockgroove") == 1


async def test_ten_that_connect_at_once_make_one_connection(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with AsyncExitStack() as stack:
        keepers = [await stack.enter_async_context(run_keeper()) for _ in range(10)]
        for keeper in keepers:
            keeper.follow(account_on(world))
        await _until(lambda: any(keeper.state is KeeperState.CONNECTED for keeper in keepers))
        (connected,) = (keeper for keeper in keepers if keeper.state is KeeperState.CONNECTED)
        await stays(connected, KeeperState.CONNECTED)

        assert sorted(keeper.state for keeper in keepers) == ["CONNECTED", *["WAITING"] * 9]
    assert world.logins("lockgroove") == 1


async def test_the_second_keeper_takes_over_when_the_first_ends(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as second:
        async with run_keeper() as first:
            first.follow(account_on(world))
            await reaches(first, KeeperState.CONNECTED)
            second.follow(account_on(world))
            await reaches(second, KeeperState.WAITING)
        await reaches(second, KeeperState.CONNECTED)


async def test_a_lost_lease_ends_the_session_and_is_asked_for_again(
    network: OpenNetwork, run_keeper: RunKeeper, leases: SqlLeaseStore
) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        session = keeper.session()
        await leases.revoke()
        await session.ended()
        await reaches(keeper, KeeperState.WAITING)
        await reaches(keeper, KeeperState.CONNECTED)

        assert keeper.session() is not session


async def test_a_dropped_connection_is_made_again(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        world.server.drop("lockgroove")
        await reaches(keeper, KeeperState.AWAY)
        await reaches(keeper, KeeperState.CONNECTED)

    assert world.logins("lockgroove") == 2


async def test_a_kick_stops_the_keeper_and_says_so(
    network: OpenNetwork, run_keeper: RunKeeper, leases: SqlLeaseStore
) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        await world.server.kick("lockgroove")
        await reaches(keeper, KeeperState.STOPPED)
        await stays(keeper, KeeperState.STOPPED)

        assert world.logins("lockgroove") == 1
        assert await holder(leases, world) is not None
        with pytest.raises(Kicked, match="logged in elsewhere"):
            keeper.session()


async def test_a_kick_by_the_next_holder_of_the_lease_stops_nothing(
    network: OpenNetwork, opened: OpenSession, soulseek_metrics: SoulseekMetrics, leases: SqlLeaseStore
) -> None:
    world = await network()
    keeper = SessionKeeper(
        hold=lambda name: hold(leases, name, ttl=TTL, clock=SystemClock()),
        open_session=opened,
        metrics=soulseek_metrics,
        clock=SystemClock(),
        lease_pause=TTL,
    )
    running = asyncio.create_task(keeper.run())
    keeper.follow(account_on(world))
    await reaches(keeper, KeeperState.CONNECTED)

    await leases.revoke()
    await world.server.kick("lockgroove")

    seen = set()
    while keeper.state is not KeeperState.WAITING:
        seen.add(keeper.state)
        await asyncio.sleep(0.01)
    assert KeeperState.STOPPED not in seen
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_until_the_lease_is_ours_the_work_is_anothers(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))

        assert keeper.state is KeeperState.WAITING


async def test_a_step_waits_while_the_session_is_being_connected(
    network: OpenNetwork, run_keeper: RunKeeper, albums: tuple[Album, ...]
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))
    world.server.answer_delay = 0.3

    async with run_keeper() as keeper:
        soulseek = SoulseekNetwork(keeper, limits=lambda: TimeLimits(search=timedelta(seconds=2)))
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTING)
        world.server.answer_delay = 0.0

        assert await soulseek.search(albums[0].title)


async def test_a_wrong_password_stops_the_keeper(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world, password="wrong"))
        await reaches(keeper, KeeperState.STOPPED)
        await stays(keeper, KeeperState.STOPPED)

        assert world.logins("lockgroove") == 1
        assert "soulseek.password" in keeper.message
        with pytest.raises(LoginRefused):
            keeper.session()


async def test_another_password_starts_a_stopped_keeper(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world, password="wrong"))
        await reaches(keeper, KeeperState.STOPPED)
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)


async def test_the_same_settings_again_change_nothing(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        session = keeper.session()
        keeper.follow(account_on(world))
        await stays(keeper, KeeperState.CONNECTED)

        assert keeper.session() is session


async def test_other_settings_open_another_session(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        keeper.follow(replace(account_on(world), username="another", password="new"))
        async with asyncio.timeout(30):
            while not world.server.is_online("another"):
                await asyncio.sleep(0.01)

        assert not world.server.is_online("lockgroove")


async def test_what_is_shared_is_shared_in_every_session(
    network: OpenNetwork, run_keeper: RunKeeper, tmp_path: Path
) -> None:
    world = await network()
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "01.flac").touch()

    def told() -> list[int]:
        return [said.shared_file_count for said in world.server.received(SharedFoldersFiles.Request, "lockgroove")]

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        keeper.share(Sharing(folder=tmp_path / "music"))
        await _until(lambda: told().count(1) == 1)
        world.server.drop("lockgroove")
        await _until(lambda: told().count(1) == 2)
        keeper.share(Sharing())
        await _until(lambda: told()[-1] == 0)

    assert world.logins("lockgroove") == 2


async def test_an_account_that_is_taken_away_logs_out(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        keeper.follow(None)
        await reaches(keeper, KeeperState.OFF)

        await _until(lambda: not world.server.is_online("lockgroove"))


async def test_a_server_that_comes_back_is_found(network: OpenNetwork, run_keeper: RunKeeper) -> None:
    world = await network()
    await world.server.close()

    async with run_keeper() as keeper:
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.AWAY)
        await world.server.start()
        await reaches(keeper, KeeperState.CONNECTED)


async def test_the_connection_is_a_metric(network: OpenNetwork, run_keeper: RunKeeper, metrics: Metrics) -> None:
    world = await network()

    async with run_keeper() as keeper:
        assert b"lockgroove_soulseek_connection_status 0.0" in metrics.render()
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        assert b"lockgroove_soulseek_connection_status 1.0" in metrics.render()


async def test_the_network_asks_the_live_session_with_the_limits_of_the_moment(
    network: OpenNetwork, run_keeper: RunKeeper, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="one", albums=albums))

    async with run_keeper() as keeper:
        soulseek = SoulseekNetwork(keeper, limits=lambda: TimeLimits(search=timedelta(seconds=1)))
        with pytest.raises(SoulseekOff):
            await soulseek.search(albums[0].title)
        keeper.follow(account_on(world))
        await reaches(keeper, KeeperState.CONNECTED)
        (offer,) = await soulseek.search(albums[0].title)
        announced = await soulseek.download("one", offer.files[0], tmp_path / "01.flac", on_bytes=lambda _: None)

    assert announced == (tmp_path / "01.flac").stat().st_size


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
