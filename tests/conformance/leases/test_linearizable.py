"""Processes that fight for one lease while they are stopped, woken and killed: never two of them hold it."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from sqlalchemy import select

from libs.clock import SystemClock
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.sql.engine import Database, open_database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from services.acquisition.leases.wiring import make_leases
from tests.conformance.leases import contender
from tests.conformance.leases.contender import LEASE, REFUSED, TOKEN, read_journal
from tests.support.lease_history import Act, History
from tests.support.waiting import eventually

SEED = 20261122
CONTENDERS = 4
STOPS = 3  # and more, until one of them woke too late
MOST_STOPS = 12
ENOUGH_SECONDS = 2.0  # for anybody else to take over; a process that is stopped inside a write lets nobody


class Arena:
    """The contenders: every other one goes through a server, the others to the database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.store = SqlLeaseStore(database, contender.lease)
        self._database = database
        self._folder = folder
        self._processes: dict[int, asyncio.subprocess.Process] = {}

    async def start(self, number: int, *arguments: str) -> None:
        """One more."""
        journal = str(self._folder / f"journal-{number}")
        command = [sys.executable, "-m", contender.__name__, *arguments, journal, f"{SEED}-{number}"]
        process = await asyncio.create_subprocess_exec(*command)
        self._processes[process.pid] = process

    def acts(self) -> list[Act]:
        """What all of them noted."""
        return [act for journal in sorted(self._folder.glob("journal-*")) for act in read_journal(journal)]

    def refusals(self) -> int:
        """Writes of holders that woke too late."""
        return sum(act.kind == REFUSED for act in self.acts())

    async def writes(self) -> list[int]:
        """The fences of all writes, in the order in which they were accepted."""
        async with self._database.reading() as connection:
            return list(await connection.scalars(select(contender.written.c.fence).order_by(contender.written.c.id)))

    async def holder(self) -> Lease:
        """Who holds it, once somebody does."""

        async def held() -> Lease | None:
            found = await self.store.find(LEASE)
            return found if found and found.holder else None

        return await eventually(held, every=0.005)

    async def signal_holder(self, number: signal.Signals) -> tuple[int, int]:
        """To whoever holds it; its pid and fence."""
        lease = await self.holder()
        pid = int(str(lease.holder).split(":")[-2])
        os.kill(pid, number)
        return pid, lease.fence

    async def others_go_on(self, fence: int) -> None:
        """Return when somebody else has taken over, or it has been long enough."""

        async def taken_over() -> bool:
            found = await self.store.find(LEASE)
            return found is not None and found.fence > fence

        with suppress(AssertionError):
            await eventually(taken_over, within=ENOUGH_SECONDS, every=0.02)

    async def end(self) -> None:
        """Nobody goes on."""
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


@pytest.fixture
async def arena(database_url: str, tmp_path: Path) -> AsyncIterator[Arena]:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(open_database(database_url, schema="contest"))
        async with database.writing() as connection:
            await connection.run_sync(contender.metadata.create_all)
        leases = make_leases(database, tokens=PageTokens(b"key"), metrics=Metrics(), clock=SystemClock())
        server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([TOKEN], lambda: []))
        leases.serve(server)
        await stack.enter_async_context(server)
        arena = Arena(database, tmp_path)
        stack.push_async_callback(arena.end)
        for number in range(CONTENDERS):
            await arena.start(number, database_url, "contest", server.address if number % 2 else "")
        yield arena


async def test_never_two_hold_it_whoever_is_stopped_or_killed(arena: Arena) -> None:
    chance = random.Random(SEED)

    async def all_are_there() -> bool:
        return len({act.process for act in arena.acts()}) == CONTENDERS

    await eventually(all_are_there, within=30)
    stops = 0
    while stops < STOPS or not (arena.refusals() or stops == MOST_STOPS):
        await asyncio.sleep(chance.uniform(0, 0.3))
        stopped, fence = await arena.signal_holder(signal.SIGSTOP)
        await arena.others_go_on(fence)
        os.kill(stopped, signal.SIGCONT)
        stops += 1
    killed, last = await arena.signal_holder(signal.SIGKILL)

    async def survivors_went_on() -> bool:
        after = [act for act in arena.acts() if act.fence > last and act.process != str(killed)]
        return len({act.process for act in after}) > 1

    await eventually(survivors_went_on, within=20)
    await arena.end()

    history = History(arena.acts(), writes=await arena.writes())
    assert history.violations() == []
    assert any(act.kind == "renewed" for act in history.acts)
    assert len(set(history.writes)) > STOPS  # holds in which something was written
    assert arena.refusals() > 0
