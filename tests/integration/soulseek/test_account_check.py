"""Trying accounts beside a session that runs: it stays, and the server sees no login that kicks it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from lockgroove.acquisition.v1 import checks_pb2 as pb
from lockgroove.acquisition.v1 import checks_pb2_grpc as rpc
from sqlalchemy import MetaData

from deploy.demo.loopback_http import HOST
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import SystemClock
from libs.leases.hold import hold
from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import open_database
from services.acquisition.checks.wiring import serve_checks
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.soulseek.metrics import SoulseekMetrics
from tests.support.ports import free_ports

from .conftest import OpenNetwork, OpenSession, account_on

CLOCK = SystemClock()
TTL = timedelta(seconds=5)
LONG = timedelta(minutes=5)
Found = pb.CheckSoulseekResponse


class Folders:
    """The settings of the moment; these tests have none."""

    def music(self) -> Path | None:
        return None

    def downloads(self) -> Path:
        return Path("/nonexistent")

    def minimum_free(self) -> int:
        return 0


class Suite:
    """A process of the suite: its keeper, and its checks over RPC."""

    def __init__(self, keeper: SessionKeeper, leases: SqlLeaseStore, stub: Any) -> None:
        self.keeper = keeper
        self.leases = leases
        self._stub = stub

    async def follows(self, account: Account | None, state: KeeperState) -> None:
        self.keeper.follow(account)
        async with asyncio.timeout(30):
            while self.keeper.state is not state:
                await asyncio.sleep(0.01)

    async def found(
        self, server: str, username: str = "lockgroove", password: str = "demo"
    ) -> pb.CheckSoulseekResponse:
        request = pb.CheckSoulseekRequest(server=server, username=username, password=password)
        answer: pb.CheckSoulseekResponse = await self._stub.CheckSoulseek(request)
        assert password not in str(answer)
        return answer


@pytest.fixture
async def world(network: OpenNetwork) -> SoulseekWorld:
    return await network()


@pytest.fixture
async def suite(tmp_path: Path, opened: OpenSession, soulseek_metrics: SoulseekMetrics) -> AsyncIterator[Suite]:
    metadata = MetaData()
    table = lease_table(metadata)
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test") as database:
        async with database.writing() as connection:
            await connection.run_sync(metadata.create_all)
        leases = SqlLeaseStore(database, table)
        keeper = SessionKeeper(
            hold=lambda name: hold(leases, name, ttl=TTL, clock=CLOCK),
            open_session=opened,
            metrics=soulseek_metrics,
            clock=CLOCK,
            first_pause=LONG,
            lease_pause=timedelta(milliseconds=20),
        )
        server = Server(f"{HOST}:0", authenticator=KeyAuthenticator(["token"], lambda: []))
        serve_checks(server, keeper, leases=leases, wanted=Folders(), clock=CLOCK, pause=timedelta())
        running = asyncio.create_task(keeper.run())
        async with server, open_channel(server.address, credential="token", timeout=TTL * 2) as channel:
            yield Suite(keeper, leases, rpc.CheckServiceStub(channel))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[str]:
    """Something that is no Soulseek server; None: it hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer or b"")
        writer.close()

    listening = await asyncio.start_server(serve, HOST, 0)
    async with listening:
        yield f"{HOST}:{listening.sockets[0].getsockname()[1]}"


async def test_a_session_that_runs_is_the_answer_and_stays(suite: Suite, world: SoulseekWorld) -> None:
    await suite.follows(account_on(world), KeeperState.CONNECTED)
    session = suite.keeper.session()

    answers = [await suite.found(server) for server in (world.address, f"localhost:{world.port}", f"{HOST}:1")]

    assert [answer.finding for answer in answers] == [Found.CONNECTED] * 3
    assert answers[0].session_age.ToTimedelta() > timedelta()
    assert suite.keeper.session() is session
    assert world.logins("lockgroove") == 1


async def test_another_password_for_the_account_of_the_session_is_not_tried(suite: Suite, world: SoulseekWorld) -> None:
    await suite.follows(account_on(world), KeeperState.CONNECTED)

    answer = await suite.found(world.address, password="mistyped")

    assert answer.finding == Found.BAD_PASSWORD
    assert world.logins("lockgroove") == 1


async def test_another_account_is_logged_in_and_out_beside_the_session(suite: Suite, world: SoulseekWorld) -> None:
    await suite.follows(account_on(world), KeeperState.CONNECTED)

    answer = await suite.found(world.address, "newcomer")

    assert answer.finding == Found.LOGGED_IN
    assert world.logins("newcomer") == 1
    assert suite.keeper.state is KeeperState.CONNECTED
    lease = await suite.leases.find(f"soulseek/{world.address}/newcomer")
    assert lease is None or lease.holder is None
    async with asyncio.timeout(10):
        while world.server.is_online("newcomer"):
            await asyncio.sleep(0.01)


async def test_an_account_that_another_process_has_is_left_alone(suite: Suite, world: SoulseekWorld) -> None:
    async with hold(suite.leases, f"soulseek/{world.address}/lockgroove", ttl=TTL, clock=CLOCK):
        unknown_to_us = await suite.found(world.address)
        await suite.follows(account_on(world), KeeperState.WAITING)
        waited_for = await suite.found(world.address, password="another")

    assert unknown_to_us.finding == waited_for.finding == Found.IN_USE
    assert world.logins("lockgroove") == 0


async def test_an_account_whose_session_another_process_keeps_is_well(suite: Suite, world: SoulseekWorld) -> None:
    async with hold(suite.leases, f"soulseek/{world.address}/lockgroove", ttl=TTL, clock=CLOCK):
        await suite.follows(account_on(world), KeeperState.WAITING)
        kept = await suite.found(world.address)

    assert kept.finding == Found.ELSEWHERE


async def test_an_account_whose_last_process_died_is_not_called_well(suite: Suite, world: SoulseekWorld) -> None:
    dead = timedelta(seconds=30)
    await suite.leases.acquire(f"soulseek/{world.address}/lockgroove", "died a moment ago", dead)
    await suite.follows(account_on(world), KeeperState.WAITING)

    assert (await suite.found(world.address)).finding == Found.IN_USE


async def test_a_password_is_corrected_under_the_lease_of_the_keeper_that_stopped(
    suite: Suite, world: SoulseekWorld
) -> None:
    await suite.follows(account_on(world, password="mistyped"), KeeperState.STOPPED)

    again = await suite.found(world.address, password="mistyped")
    corrected = await suite.found(world.address)

    assert (again.finding, corrected.finding) == (Found.BAD_PASSWORD, Found.LOGGED_IN)
    assert world.logins("lockgroove") == 2
    await suite.follows(account_on(world), KeeperState.CONNECTED)


async def test_an_account_that_somebody_else_took_is_not_taken_back(suite: Suite, world: SoulseekWorld) -> None:
    await suite.follows(account_on(world), KeeperState.CONNECTED)
    await world.server.kick("lockgroove")
    async with asyncio.timeout(30):
        while suite.keeper.state is not KeeperState.STOPPED:
            await asyncio.sleep(0.01)

    answer = await suite.found(world.address)

    assert answer.finding == Found.IN_USE
    assert world.logins("lockgroove") == 1


async def test_a_trial_ends_before_the_account_is_logged_in_with_other_settings(
    suite: Suite, world: SoulseekWorld
) -> None:
    await suite.follows(account_on(world, password="mistyped"), KeeperState.STOPPED)
    world.server.answer_delay = 0.3

    trial = asyncio.create_task(suite.found(world.address))
    async with asyncio.timeout(30):
        while world.logins("lockgroove") < 2:
            await asyncio.sleep(0.01)
    world.server.answer_delay = 0
    await suite.follows(account_on(world), KeeperState.CONNECTED)

    assert (await trial).finding == Found.LOGGED_IN
    assert world.logins("lockgroove") == 3
    assert suite.keeper.state is KeeperState.CONNECTED


@pytest.mark.parametrize(
    "answer", [None, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\x00\x00\x00\x02\x00\x00\x00\x01", b"\x00"]
)
async def test_what_is_no_soulseek_server_is_told(suite: Suite, answer: bytes | None) -> None:
    async with answering(answer) as server:
        assert (await suite.found(server)).finding == Found.BAD_ANSWER


async def test_a_server_that_is_away_or_refuses_the_name_is_told(suite: Suite, world: SoulseekWorld) -> None:
    refusal = b"INVALIDUSERNAME"
    body = b"\x01\x00\x00\x00\x00" + len(refusal).to_bytes(4, "little") + refusal

    assert (await suite.found(f"{HOST}:{free_ports(1)[0]}")).finding == Found.REFUSED
    assert (await suite.found(world.address, password="wrong")).finding == Found.BAD_PASSWORD
    async with answering(len(body).to_bytes(4, "little") + body) as server:
        rejected = await suite.found(server)

    assert rejected.finding == Found.REJECTED
    assert "INVALIDUSERNAME" in rejected.message
