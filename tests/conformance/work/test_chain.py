"""The chain over a service's records: whatever is done to them by somebody without the key is found."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, delete, func, insert, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database, before_commit
from libs.work.chain import GENESIS, Chain, line_of, step_of
from libs.work.errors import JobNotFound
from libs.work.job import Done, NewJob
from libs.work.outbox import SqlOutbox
from libs.work.proof import Proof, Prover
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables
from tests.conformance.work.ends import MINUTE, end
from tests.support.database_clock import DatabaseClock
from tests.support.jobs import Jobs

KEY = b"the key of the chain"
Tamper = Callable[[AsyncConnection, WorkTables], Awaitable[object]]


@pytest.fixture
def outbox(work_database: Database, tables: WorkTables, clock: DatabaseClock) -> SqlOutbox:
    return SqlOutbox(work_database, tables, now=clock.now, chain_key=KEY)


@pytest.fixture
def store(work_database: Database, tables: WorkTables, clock: DatabaseClock, outbox: SqlOutbox) -> SqlWorkStore:
    return SqlWorkStore(work_database, tables, outbox=outbox, now=clock.now)


@pytest.fixture
def prover(work_database: Database, tables: WorkTables) -> Prover:
    return Prover(work_database, tables, KEY)


@pytest.fixture
async def history(work_database: Database, jobs: Jobs, store: SqlWorkStore, clock: DatabaseClock) -> None:
    """Twelve records in seven steps: 1-6, then one step for each end."""
    async with work_database.writing() as connection:
        for number in range(6):
            await store.create(connection, NewJob(id=f"job-{number}", queue="albums", kind="soulseek", state="QUEUED"))
    for claim in await jobs.claim(limit=6):
        clock.advance(MINUTE / 3)
        await end(store, claim, Done(state="DONE", detail={"ms": 12, "try": 1}), actor="me")


@pytest.mark.usefixtures("history")
async def test_a_trail_that_nobody_touched_is_intact(prover: Prover) -> None:
    assert await prover.prove(0, 1000) == Proof(first=1, last=12, count=12, complete=True)


async def test_an_empty_trail_is_intact(prover: Prover) -> None:
    assert await prover.prove(0, 1000) == Proof(complete=True)


@pytest.mark.usefixtures("history")
async def test_a_check_goes_on_where_the_one_before_ended(prover: Prover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.work.proof._STEPS", 2)

    first = await prover.prove(0, 3)
    second = await prover.prove(first.last, 100)

    assert (first.complete, first.count, first.last) == (False, 7, 7)
    assert second == Proof(first=8, last=12, count=5, complete=True)


async def change(connection: AsyncConnection, tables: WorkTables, **values: object) -> None:
    await connection.execute(update(tables.event).where(tables.event.c.seq == 9).values(values))


async def delete_records(connection: AsyncConnection, tables: WorkTables, *numbers: int) -> None:
    await connection.execute(delete(tables.event).where(tables.event.c.seq.in_(numbers)))


async def delete_steps(connection: AsyncConnection, tables: WorkTables, *numbers: int) -> None:
    await connection.execute(delete(tables.chain).where(tables.chain.c.last_seq.in_(numbers)))
    await connection.execute(delete(tables.event).where(tables.event.c.seq.in_(numbers)))


async def add_record(connection: AsyncConnection, tables: WorkTables, number: int) -> None:
    row = (await connection.execute(select(tables.event).where(tables.event.c.seq == 12))).mappings().one()
    await connection.execute(insert(tables.event), dict(row) | {"seq": number})


async def swap(connection: AsyncConnection, tables: WorkTables) -> None:
    for old, new in ((8, 1000), (9, 8), (1000, 9)):
        await connection.execute(update(tables.event).where(tables.event.c.seq == old).values(seq=new))


async def swap_steps(connection: AsyncConnection, tables: WorkTables) -> None:
    await swap(connection, tables)
    for old, new in ((8, 1000), (9, 8), (1000, 9)):
        moved = {"last_seq": new, "first_seq": new}
        await connection.execute(update(tables.chain).where(tables.chain.c.last_seq == old).values(moved))


async def remake(connection: AsyncConnection, tables: WorkTables) -> None:
    """Change a record, and make the last step anew, with a key of one's own."""
    await connection.execute(update(tables.event).where(tables.event.c.seq == 12).values(actor="you"))
    event = dict((await connection.execute(select(tables.event).where(tables.event.c.seq == 12))).mappings().one())
    seal = step_of(b"guessed", GENESIS)
    seal.update(line_of((*list(event.values())[:7], 0)))
    await connection.execute(update(tables.chain).where(tables.chain.c.last_seq == 12).values(hash=seal.digest()))


async def pretend_retention(connection: AsyncConnection, tables: WorkTables) -> None:
    chain = tables.chain
    await connection.execute(delete(tables.event).where(tables.event.c.seq <= 8))
    await connection.execute(delete(chain).where(chain.c.last_seq < 8))
    await connection.execute(update(chain).where(chain.c.last_seq == 8).values(first_seq=0, previous=bytes(32)))


CASES: dict[str, tuple[Tamper, str]] = {
    "state": (lambda c, t: change(c, t, to_state="FAILED"), "record from 9 to 9 was changed"),
    "job": (lambda c, t: change(c, t, job_id="job-x"), "record from 9 to 9 was changed"),
    "actor": (lambda c, t: change(c, t, actor="you"), "record from 9 to 9 was changed"),
    "detail": (lambda c, t: change(c, t, detail={"ms": 13, "try": 1}), "record from 9 to 9 was changed"),
    "version": (lambda c, t: change(c, t, version=7), "record from 9 to 9 was changed"),
    "hash": (
        lambda c, t: c.execute(update(t.chain).where(t.chain.c.last_seq == 9).values(hash=bytes(32))),
        "record from 9 to 9 was changed, or the hash",
    ),
    "one record": (lambda c, t: delete_records(c, t, 3), "record 3 is missing"),
    "last record of a step": (lambda c, t: delete_records(c, t, 6), "record 6 is missing"),
    "a step": (lambda c, t: delete_steps(c, t, 9), "10 does not follow on the one before"),
    "the oldest": (lambda c, t: delete_steps(c, t, 1, 2, 3, 4, 5, 6), "7 does not follow on the one before"),
    "the newest record": (lambda c, t: delete_records(c, t, 12), "record 12 is missing"),
    "the newest steps": (lambda c, t: delete_steps(c, t, 11, 12), "the newest records are missing"),
    "a foreign one at the end": (lambda c, t: add_record(c, t, 13), "record 13 is foreign"),
    "a foreign one at the start": (lambda c, t: add_record(c, t, 0), "record 0 is foreign"),
    "two swapped": (swap, "record from 8 to 8 was changed"),
    "two swapped with their steps": (swap_steps, "8 does not follow on the one before"),
    "a step made anew": (remake, "record from 12 to 12 was changed"),
    "a retention that never was": (pretend_retention, "the anchor at 8 is not ours"),
    "the whole chain": (lambda c, t: c.execute(delete(t.chain)), "record 1 is foreign"),
}


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("case", CASES)
async def test_tampering_is_found_and_named(
    work_database: Database, tables: WorkTables, prover: Prover, case: str
) -> None:
    tamper, fault = CASES[case]
    async with work_database.writing() as connection:
        await tamper(connection, tables)

    proof = await prover.prove(0, 1000)

    assert fault in proof.fault


@pytest.mark.usefixtures("history")
async def test_time_is_proven_too(work_database: Database, tables: WorkTables, prover: Prover) -> None:
    async with work_database.writing() as connection:
        await change(connection, tables, at=type_coerce(tables.event.c.at, BigInteger) + 1)

    assert "record from 9 to 9 was changed" in (await prover.prove(0, 1000)).fault


@pytest.mark.usefixtures("history")
async def test_without_the_right_key_nothing_is_proven(work_database: Database, tables: WorkTables) -> None:
    assert "from 1 to 6 was changed" in (await Prover(work_database, tables, b"another").prove(0, 1000)).fault


@pytest.mark.usefixtures("history")
async def test_retention_takes_the_oldest_steps_and_the_rest_is_still_proven(
    work_database: Database, tables: WorkTables, prover: Prover, clock: DatabaseClock
) -> None:
    chain = Chain(tables, KEY, now=clock.now)
    async with work_database.writing() as connection:
        first = await chain.forget(connection, clock.time - MINUTE, steps=2)
        second = await chain.forget(connection, clock.time - MINUTE, steps=100)

    assert (first, second) == (7, 1)
    assert await prover.prove(0, 1000) == Proof(first=9, last=12, count=4, complete=True)


@pytest.mark.usefixtures("history")
async def test_retention_leaves_the_newest_step(
    work_database: Database, tables: WorkTables, prover: Prover, clock: DatabaseClock
) -> None:
    async with work_database.writing() as connection:
        await Chain(tables, KEY, now=clock.now).forget(connection, clock.time + MINUTE, steps=100)

    assert await prover.prove(0, 1000) == Proof(first=12, last=12, count=1, complete=True)


@pytest.mark.usefixtures("history")
async def test_what_retention_removed_cannot_come_back(
    work_database: Database, tables: WorkTables, prover: Prover, clock: DatabaseClock
) -> None:
    async with work_database.writing() as connection:
        await Chain(tables, KEY, now=clock.now).forget(connection, clock.time + MINUTE, steps=3)
        await add_record(connection, tables, 5)

    assert "record 5 is foreign" in (await prover.prove(0, 1000)).fault


async def test_what_was_recorded_before_there_was_a_chain_is_taken_in_with_a_note(
    work_database: Database, tables: WorkTables, jobs: Jobs, clock: DatabaseClock, prover: Prover
) -> None:
    older = SqlWorkStore(work_database, tables, now=clock.now)
    await Jobs(work_database, tables, older).create("job-1")
    await jobs.create("job-2")

    proof = await prover.prove(0, 1000)

    assert (proof.fault, proof.count) == ("", 3)
    assert [event.detail for event in await older.events_after(0, 10)] == [{}, {"adopted": 1}, {}]


async def test_a_commit_that_is_undone_leaves_no_hole_that_looks_like_one(
    work_database: Database, jobs: Jobs, store: SqlWorkStore, prover: Prover
) -> None:
    await jobs.create("job-1")
    with pytest.raises(JobNotFound):
        await _create_and_fail(work_database, store)
    await jobs.create("job-2")

    assert (await prover.prove(0, 1000)).fault == ""


async def _create_and_fail(database: Database, store: SqlWorkStore) -> None:
    async with database.writing() as connection:
        await store.create(connection, NewJob(id="x", queue="albums", kind="x", state="QUEUED"))
        before_commit(connection, _fail)


async def _fail(connection: AsyncConnection) -> None:
    raise JobNotFound("after the records were written")


async def test_many_writers_make_one_chain_while_it_is_checked(
    jobs: Jobs, prover: Prover, tables: WorkTables, work_database: Database
) -> None:
    async def write(writer: int) -> None:
        for number in range(10):
            await jobs.create(f"job-{writer}-{number}")

    async def check() -> list[str]:
        return [(await prover.prove(0, 1000)).fault for _ in range(5)]

    faults, *_ = await asyncio.gather(check(), *[write(writer) for writer in range(4)])

    assert faults == [""] * 5
    assert (await prover.prove(0, 1000)).count == 40


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcü\"\\\n", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


async def test_whatever_a_record_says_it_reads_back_as_it_was_written(
    work_database: Database, outbox: SqlOutbox, prover: Prover
) -> None:
    loop = asyncio.get_running_loop()

    async def append(details: list[Any]) -> None:
        async with work_database.writing() as connection:
            for number, detail in enumerate(details):
                change = {"job_id": f"ü-{number}", "version": 1, "from_state": "", "to_state": '"', "actor": "\n"}
                outbox.append(connection, change | {"detail": {"is": detail}})

    @settings(max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(details=st.lists(JSON, min_size=1, max_size=4))
    def check(details: list[Any]) -> None:
        asyncio.run_coroutine_threadsafe(append(details), loop).result(30)

    await asyncio.to_thread(check)

    assert (await prover.prove(0, 10_000)).fault == ""


@pytest.mark.parametrize("seed", range(8))
async def test_any_change_of_any_column_of_any_row_is_found(
    history: None, work_database: Database, tables: WorkTables, prover: Prover, seed: int
) -> None:
    chance = random.Random(seed)
    table = chance.choice([tables.event, tables.chain])
    column = chance.choice(list(table.c))
    async with work_database.writing() as connection:
        count = await connection.scalar(select(func.count()).select_from(table)) or 0
        key = next(iter(table.primary_key))
        one = await connection.scalar(select(key).order_by(key).offset(chance.randrange(count)).limit(1))
        changed: Any = {"at": type_coerce(column, BigInteger) + 1, "detail": {"x": 1}}.get(
            column.name, {int: 77, str: "x", bytes: b"x"}.get(column.type.python_type)
        )
        await connection.execute(update(table).where(key == one).values({column.name: changed}))

    assert (await prover.prove(0, 1000)).fault, (table.name, column.name, one)
