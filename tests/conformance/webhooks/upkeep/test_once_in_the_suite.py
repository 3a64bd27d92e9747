"""However many replicas there are, one at a time does upkeep."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.clock import ManualClock, SystemClock
from libs.errors import Unavailable
from libs.leases.hold import hold
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.sql.watermarks import SqlWatermarks
from services.webhooks.domain.reconciling import Finding, Kind, Reconciling
from services.webhooks.tables import lease, watermark
from services.webhooks.upkeep.worker import CLOCK_JUMP, Reconciler
from tests.conformance.webhooks.upkeep.conftest import Inbox

INTERVAL = timedelta(minutes=5)
TTL = timedelta(seconds=30)


class QuietLog:
    """Counts nothing."""

    def found(self, finding: Finding) -> None:
        """Something was found."""

    def reconciled(self, findings: int, seconds: float) -> None:
        """A pass has ended."""


@dataclass
class Watched:
    """Work that notices when two do it at once; it fails while the database is away."""

    passes: int = 0
    at_once: int = 0
    most: int = 0
    away: bool = False

    async def find(self) -> Sequence[Finding]:
        return [Finding(kind=Kind.WORK_MISSING, subject="events/x", correction="made")]

    async def correct(self) -> Sequence[Finding]:
        await self._work()
        return await self.find()

    async def _work(self) -> None:
        if self.away:
            raise Unavailable("the database is away")
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0.05)
        self.at_once -= 1
        self.passes += 1


@dataclass
class Shown:
    """Who did it last, as one replica shows it."""

    here: bool | None = None

    def __call__(self, at: datetime, *, here: bool) -> None:
        self.here = here


@dataclass
class Replicas:
    """Replicas of a service on one database."""

    inbox: Inbox
    ttl: timedelta = TTL
    work: Watched = field(default_factory=Watched)
    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime.now(UTC)))

    def alone(self, name: str, *, wait: bool = False) -> AbstractAsyncContextManager[Lease]:
        store = SqlLeaseStore(self.inbox.database, lease)
        return hold(store, name, ttl=self.ttl, clock=SystemClock(), wait=wait)

    def reconciler(self, holder: str = "first", shown: Shown | None = None) -> Reconciler:
        return Reconciler(
            Reconciling([self.work], log=QuietLog(), clock=self.clock),
            SqlWatermarks(self.inbox.database, watermark),
            self.alone,
            interval=lambda: INTERVAL,
            clock=self.clock,
            holder=holder,
            done=shown or Shown(),
        )

    async def set_back(self, name: str, **position: Any) -> None:
        """Let it have been done then."""
        marks = SqlWatermarks(self.inbox.database, watermark)
        before, _ = await marks.read(name)
        assert before is not None
        assert await marks.swap(name, before, {**before, **position})


@pytest.fixture
def replicas(inbox: Inbox) -> Replicas:
    return Replicas(inbox)


def ago(delay: timedelta) -> int:
    return int((datetime.now(UTC) - delay).timestamp() * 1000)


async def test_a_start_is_followed_by_a_pass_and_the_interval_by_the_next(replicas: Replicas) -> None:
    reconciler = replicas.reconciler()

    assert await reconciler.run_once()
    assert not await reconciler.run_once()

    await replicas.set_back("reconciler", at=ago(INTERVAL))
    assert await reconciler.run_once()


async def test_replicas_share_an_interval(replicas: Replicas) -> None:
    first, second = replicas.reconciler("first"), replicas.reconciler("second")
    await first.run_once()
    await second.run_once()
    await replicas.set_back("reconciler", at=ago(INTERVAL))

    made = [await first.run_once(), await second.run_once()]

    assert made == [True, False]


async def test_replicas_that_start_together_reconcile_one_after_the_other(replicas: Replicas) -> None:
    several = [replicas.reconciler(f"replica {number}") for number in range(4)]

    made = await asyncio.gather(*(reconciler.run_once() for reconciler in several))

    assert replicas.work.most == 1
    assert 1 <= sum(made) == replicas.work.passes


async def test_one_that_is_told_to_waits_for_the_other(inbox: Inbox) -> None:
    replicas = Replicas(inbox, ttl=timedelta(seconds=4))  # it waits for the end of the lease
    first, second = replicas.reconciler("first"), replicas.reconciler("second")

    async with asyncio.timeout(60):
        await asyncio.gather(first.reconcile(wait=False), second.reconcile())

    assert (replicas.work.passes, replicas.work.most) == (2, 1)


async def test_a_holder_that_died_is_replaced(replicas: Replicas) -> None:
    store = SqlLeaseStore(replicas.inbox.database, lease)
    await store.acquire("reconciler", "dead", TTL)
    reconciler = replicas.reconciler()
    assert not await reconciler.run_once()

    await replicas.inbox.execute("UPDATE lease SET expires = 1")  # its time has passed

    assert await reconciler.run_once()


async def test_who_reconciled_last_is_shown_by_everybody(replicas: Replicas) -> None:
    here, there = Shown(), Shown()
    first, second = replicas.reconciler("first", here), replicas.reconciler("second", there)
    await second.run_once()
    await first.run_once()

    await first.run_once()
    await second.run_once()

    assert (here.here, there.here) == (True, False)


async def test_a_pass_that_failed_is_made_again_at_once(replicas: Replicas) -> None:
    reconciler = replicas.reconciler()
    replicas.work.away = True
    assert not await reconciler.run_once()

    replicas.work.away = False

    assert await reconciler.run_once()


async def test_a_database_that_was_away_is_followed_by_a_pass(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconciler = replicas.reconciler()
    await reconciler.run_once()

    async def away(self: SqlWatermarks, name: str) -> Any:
        raise Unavailable("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(SqlWatermarks, "read", away)
        assert not await reconciler.run_once()

    assert await reconciler.run_once()


async def test_a_clock_that_jumped_is_followed_by_a_pass(replicas: Replicas) -> None:
    reconciler = replicas.reconciler()
    await reconciler.run_once()

    replicas.clock.advance(timedelta(days=1))  # time that passes is no jump
    assert not await reconciler.run_once()

    replicas.clock._start += CLOCK_JUMP * 2  # as when the machine slept
    assert await reconciler.run_once()
    assert not await reconciler.run_once()


async def test_a_preview_needs_no_lease(replicas: Replicas) -> None:
    await SqlLeaseStore(replicas.inbox.database, lease).acquire("reconciler", "another", TTL)

    assert len(await replicas.reconciler().preview()) == 1
    assert replicas.work.passes == 0


async def test_a_watermark_is_set_only_by_who_knows_what_it_was(inbox: Inbox) -> None:
    marks = SqlWatermarks(inbox.database, watermark)

    first = await asyncio.gather(*(marks.swap("x", None, {"by": number}) for number in range(4)))
    position, _ = await marks.read("x")
    second = await asyncio.gather(*(marks.swap("x", position, {"by": number}) for number in range(4, 8)))

    assert (sum(first), sum(second)) == (1, 1)
    assert not await marks.swap("x", position, {"by": 9})
