"""Jobs that share an order key run one at a time, by their ids, whoever claims them."""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest
from sqlalchemy import RowMapping

from libs.sql.engine import Database, open_database
from libs.work.errors import ClaimLost
from libs.work.job import Claim, Done, Next, Outcome, Retry
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.conformance.work.ends import MINUTE, end
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import TTL, Jobs

TICK = timedelta(milliseconds=1)
OUTCOMES: list[Outcome] = [
    Done(state="DONE"),
    Retry(error="no", after=MINUTE),
    Next(state="UNMATCHED", delay=MINUTE),
]


@pytest.fixture
def store(work_database: Database, tables: WorkTables, clock: DatabaseClock) -> SqlWorkStore:
    return SqlWorkStore(work_database, tables, parked=["UNMATCHED"], now=clock.now)


async def claimed(jobs: Jobs, owner: str = "me") -> list[str]:
    return [claim.id for claim in await jobs.claim(owner, limit=10)]


async def test_a_claim_takes_one_job_of_each_key_and_every_one_without(jobs: Jobs) -> None:
    for job_id, key in [("a1", "a"), ("a2", "a"), ("b1", "b"), ("b2", "b"), ("c1", None), ("c2", None)]:
        await jobs.create(job_id, order_key=key)

    assert await claimed(jobs) == ["a1", "b1", "c1", "c2"]


async def test_a_job_waits_while_an_earlier_one_of_its_key_runs(jobs: Jobs, store: SqlWorkStore) -> None:
    for job_id in ("a1", "a2"):
        await jobs.create(job_id, order_key="a")
    first = await jobs.claimed("one")

    assert await claimed(jobs, "two") == []
    await end(store, first, Done(state="DONE"))
    assert await claimed(jobs, "two") == ["a2"]


async def test_a_job_waits_for_the_next_try_of_an_earlier_one(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    for job_id in ("a1", "a2"):
        await jobs.create(job_id, order_key="a")
    await end(store, await jobs.claimed(), Retry(error="no", after=MINUTE))

    assert await claimed(jobs) == []
    clock.advance(MINUTE)
    assert await claimed(jobs) == ["a1"]


async def test_a_parked_job_lets_later_ones_pass_until_it_is_due(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock
) -> None:
    for job_id in ("a1", "a2", "a3"):
        await jobs.create(job_id, order_key="a")
    await end(store, await jobs.claimed(), Next(state="UNMATCHED", delay=TTL / 2))
    second = await jobs.claimed()
    clock.advance(TTL / 2)
    while_it_runs = await claimed(jobs)
    await end(store, second, Done(state="DONE"))

    assert (second.id, while_it_runs) == ("a2", [])
    assert await claimed(jobs) == ["a1"]


async def test_an_earlier_job_waits_for_a_later_one_that_runs(jobs: Jobs, store: SqlWorkStore) -> None:
    await jobs.create("a2", order_key="a")
    later = await jobs.claimed("one")
    await jobs.create("a1", order_key="a")

    assert await claimed(jobs, "two") == []
    await end(store, later, Done(state="DONE"))
    assert await claimed(jobs, "two") == ["a1"]


async def test_when_the_holder_of_a_key_dies_its_job_is_taken_over_and_not_passed(
    jobs: Jobs, clock: DatabaseClock
) -> None:
    for job_id in ("a1", "a2"):
        await jobs.create(job_id, order_key="a")
    await jobs.claimed("one")
    clock.advance(TTL + TICK)

    assert await claimed(jobs, "two") == ["a1"]


async def test_a_dead_holder_of_a_later_job_keeps_no_earlier_one_back(jobs: Jobs, clock: DatabaseClock) -> None:
    await jobs.create("a2", order_key="a")
    await jobs.claimed("one")
    await jobs.create("a1", order_key="a")
    clock.advance(TTL + TICK)

    assert await claimed(jobs, "two") == ["a1"]


@pytest.fixture
async def replicas(work_database: Database, tables: WorkTables) -> AsyncIterator[list[SqlWorkStore]]:
    """Three stores on connections of their own, with the database's clock."""
    schema = "unused" if work_database.dialect == "sqlite" else await _schema(work_database)
    async with (
        open_database(work_database.url, schema=schema) as second,
        open_database(work_database.url, schema=schema) as third,
    ):
        yield [SqlWorkStore(one, tables, parked=["UNMATCHED"]) for one in (work_database, second, third)]


async def _schema(database: Database) -> str:
    async with database.reading() as connection:
        return str((await connection.exec_driver_sql("SELECT current_schema()")).scalar_one())


async def test_replicas_never_run_two_jobs_of_a_key_and_keep_their_order(
    replicas: list[SqlWorkStore], work_database: Database, tables: WorkTables
) -> None:
    keys, each = 3, 12
    jobs = Jobs(work_database, tables, replicas[0])
    for number in range(keys * each):
        await jobs.create(f"job-{number:02}", order_key=f"key-{number % keys}")
    running: set[str] = set()
    ended: dict[str, list[str]] = {f"key-{key}": [] for key in range(keys)}

    async def run(store: SqlWorkStore, claim: Claim) -> None:
        key = f"key-{int(claim.id[4:]) % keys}"
        assert key not in running
        running.add(key)
        await asyncio.sleep(0)
        running.remove(key)  # before the commit, behind which the next may begin
        ended[key].append(claim.id)
        await end(store, claim, Done(state="DONE"))

    async def work(store: SqlWorkStore, owner: str) -> None:
        while sum(map(len, ended.values())) < keys * each:
            await asyncio.gather(*[run(store, claim) for claim in await store.claim("albums", owner, 4, TTL)])

    async with asyncio.timeout(60):
        await asyncio.gather(*[work(store, f"{n}-{turn}") for n, store in enumerate(replicas) for turn in range(2)])

    assert all(ids == sorted(ids) and len(ids) == each for ids in ended.values())


@pytest.mark.parametrize("seed", range(6))
async def test_any_history_keeps_one_at_a_time_and_the_order(
    jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock, seed: int
) -> None:
    chance = random.Random(seed)
    held: list[Claim] = []
    made = 0
    for _ in range(120):
        match chance.choice(["create", "claim", "claim", "end", "tick"]):
            case "create":
                made += 1
                await jobs.create(f"{made:03}", order_key=chance.choice(["a", "b", None]))
            case "claim":
                before = await jobs.rows()
                taken = await jobs.claim(chance.choice(["one", "two"]), limit=chance.randint(1, 3))
                for claim in taken:
                    assert not _in_the_way(before, claim.id, clock), (seed, claim.id)
                held += taken
            case "end" if held:
                await _end_if_held(store, held.pop(chance.randrange(len(held))), chance.choice(OUTCOMES))
            case "tick":
                clock.advance(chance.choice([MINUTE / 4, MINUTE]))
        live = [row for row in (await jobs.rows()).values() if row["lease_until"] and row["lease_until"] >= clock.time]
        keys = [row["order_key"] for row in live if row["order_key"]]
        assert len(keys) == len(set(keys)), seed


def _in_the_way(rows: Mapping[str, RowMapping], job_id: str, clock: DatabaseClock) -> list[str]:
    """The earlier jobs for which it should have waited, by the rule in words."""
    key = rows[job_id]["order_key"]
    earlier = [row for other, row in rows.items() if key and row["order_key"] == key and other < job_id]
    waits = [row for row in earlier if row["due"] <= clock.time or row["state"] != "UNMATCHED"]
    return [row["id"] for row in waits if not row["done"]]


async def _end_if_held(store: SqlWorkStore, claim: Claim, outcome: Outcome) -> None:
    try:
        await end(store, claim, outcome)
    except ClaimLost:
        return
