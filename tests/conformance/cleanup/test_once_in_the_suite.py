"""However many replicas there are, a clean-up runs once a date; what fails or is cut off goes on later."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, insert

from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.remover import OldRows, Remover
from libs.cleanup.report import Report
from libs.cleanup.run import Run
from libs.cleanup.schedule import USUAL
from libs.cleanup.worker import AGAIN, NAME, Daily, Schedule
from libs.clock import SystemClock
from libs.leases.hold import hold
from libs.leases.lease import Lease
from libs.leases.store import SqlLeaseStore
from libs.leases.tables import lease_table
from libs.sql.engine import Database
from libs.sql.errors import StorageFull
from libs.sql.watermarks import SqlWatermarks, watermark_table
from libs.telemetry.metrics import Metrics

METADATA = MetaData()
LEASE, WATERMARK = lease_table(METADATA), watermark_table(METADATA)
DAY = timedelta(days=1)


@dataclass
class Watched:
    """A kind of things that notices when two remove it at once, and fails while told to."""

    kind: str = "things"
    rule: str = "a day"
    tables: frozenset[str] = frozenset()
    error: Exception | None = None
    left: int = 1
    runs: int = 0
    at_once: int = 0
    most: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event | None = None

    async def count(self, now: datetime) -> int:
        return self.left

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        self.runs += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        self.reached.set()
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0.02)
            if self.error is not None:
                raise self.error
        finally:
            self.at_once -= 1
        yield self.left


@dataclass
class Replicas:
    """Replicas of a service on one database."""

    database: Database
    things: Watched = field(default_factory=Watched)
    others: Watched = field(default_factory=lambda: Watched(kind="others"))
    reports: list[Report] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    @property
    def marks(self) -> SqlWatermarks:
        return SqlWatermarks(self.database, WATERMARK)

    def daily(self, holder: str = "first", removers: Sequence[Remover] = ()) -> Daily:
        some = removers or [self.things, self.others]
        self.metrics = Metrics()
        counts = CleanupMetrics(self.metrics, [each.kind for each in some])

        def alone() -> AbstractAsyncContextManager[Lease]:
            leases = SqlLeaseStore(self.database, LEASE)
            return hold(leases, NAME, ttl=timedelta(seconds=30), clock=SystemClock())

        async def ended(report: Report) -> None:
            self.reports.append(report)

        run = Run(some, counts=counts, clock=SystemClock(), pause=timedelta())
        when = Schedule(at=lambda: USUAL, zone=UTC)
        return Daily(run, self.marks, alone, when, holder=holder, metrics=counts, ended=ended)

    async def set_back(self, by: timedelta) -> None:
        """Let the last run have been so long ago."""
        before, _ = await self.marks.read(NAME)
        assert before is not None
        last, back = Report.from_json(before), by // timedelta(milliseconds=1)
        times = {"started": before["started"] - back, "ended": before["ended"] - back}
        assert await self.marks.swap(NAME, before, {**before, **times, "date": (last.day - by).isoformat()})


@pytest.fixture
async def replicas(database: Database) -> Replicas:
    async with database.writing() as connection:
        await connection.run_sync(METADATA.create_all)
    return Replicas(database)


async def test_it_runs_once_a_date_however_many_replicas_there_are(replicas: Replicas) -> None:
    several = [replicas.daily(f"replica {number}") for number in range(4)]

    for _ in range(3):
        await asyncio.gather(*(daily.run_once() for daily in several))

    assert (replicas.things.runs, replicas.things.most) == (1, 1)
    assert [report.removed for report in replicas.reports] == [{"things": 1, "others": 1}]


async def test_a_date_that_was_missed_is_made_up_once(replicas: Replicas) -> None:
    daily = replicas.daily()
    await daily.run_once()
    await replicas.set_back(9 * DAY)

    assert [await daily.run_once() for _ in range(3)] == [True, False, False]


async def test_every_replica_can_tell_what_the_last_run_did(replicas: Replicas) -> None:
    await replicas.daily("first").run_once()

    last = await replicas.daily("second").last()

    assert last == replicas.reports[0]
    assert last.holder == "first"


async def test_who_asks_gets_one_run_though_none_is_due_and_the_replica_that_was_asked_dies(replicas: Replicas) -> None:
    await replicas.daily("first").run_once()

    await replicas.daily("first").begin()

    another = replicas.daily("second")
    assert [await another.run_once() for _ in range(2)] == [True, False]


async def test_who_asks_while_a_run_is_under_way_gets_that_one(replicas: Replicas) -> None:
    replicas.things.hold = asyncio.Event()
    daily = replicas.daily()
    running = asyncio.create_task(daily.run_once())
    await asyncio.wait_for(replicas.things.reached.wait(), 20)

    await daily.begin()
    replicas.things.hold.set()

    assert await running
    assert not await daily.run_once()


async def test_a_report_of_a_newer_version_is_read(replicas: Replicas) -> None:
    daily = replicas.daily()
    await daily.run_once()
    kept, _ = await replicas.marks.read(NAME)
    assert kept is not None
    removals = [{**each, "bytes": 1} for each in kept["removals"]]

    await replicas.marks.move(NAME, {**kept, "removals": removals, "host": "nas"})

    assert await daily.last() == replicas.reports[0]


async def test_a_preview_counts_and_removes_nothing_whoever_holds_the_lease(replicas: Replicas) -> None:
    await SqlLeaseStore(replicas.database, LEASE).acquire(NAME, "another", timedelta(seconds=30))

    found = await replicas.daily().preview()

    assert {each.kind: each.count for each in found} == {"things": 1, "others": 1}
    assert replicas.things.runs == 0


@pytest.mark.parametrize(
    ("error", "word"), [(StorageFull("the disk is full"), "STORAGE_FULL"), (ZeroDivisionError(), "INTERNAL")]
)
async def test_a_kind_that_fails_is_reported_stops_no_other_and_is_tried_again(
    replicas: Replicas, error: Exception, word: str
) -> None:
    replicas.things.error = error
    daily = replicas.daily()

    assert await daily.run_once()

    assert (replicas.reports[0].problems, replicas.others.runs) == ({"things": word}, 1)
    text = replicas.metrics.render().decode()
    assert 'lockgroove_cleanup_failures_total{what="things"} 1.0' in text
    assert 'lockgroove_cleanup_removed_total{what="others"} 1.0' in text
    assert "lockgroove_cleanup_last_run_timestamp_seconds 0.0" in text  # not a whole one
    assert not await daily.run_once()

    replicas.things.error = None
    await replicas.set_back(AGAIN)

    assert await daily.run_once()
    assert replicas.reports[1].problems == {}


async def test_a_run_that_was_cut_off_is_made_by_whoever_comes_next(replicas: Replicas) -> None:
    replicas.things.hold = asyncio.Event()
    running = asyncio.create_task(replicas.daily("first").run_once())
    await asyncio.wait_for(replicas.things.reached.wait(), 20)
    assert not await replicas.daily("second").run_once()
    running.cancel()
    await asyncio.wait([running])
    replicas.things.hold = None

    assert await replicas.daily("second").run_once()

    assert [report.holder for report in replicas.reports] == ["second"]


async def test_old_rows_go_step_by_step_and_others_stay(replicas: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.cleanup.remover.STEP", 2)
    now = datetime.now(UTC)
    rows: list[dict[str, Any]] = [
        {"name": f"{number}", "position": {"at": number}, "updated": now - number * DAY} for number in range(1, 8)
    ]
    async with replicas.database.writing() as connection:
        await connection.execute(insert(WATERMARK), rows)
    old = OldRows(
        replicas.database,
        WATERMARK,
        lambda now: WATERMARK.c.updated < now - 3 * DAY,
        kind="marks",
        rule=lambda: "3 days",
    )
    assert await old.count(now) == 4

    assert [count async for count in old.remove(now)] == [2, 2]

    assert await old.count(now) == 0
    assert [bool(await replicas.marks.find(f"{number}")) for number in range(1, 8)] == [True] * 3 + [False] * 4
