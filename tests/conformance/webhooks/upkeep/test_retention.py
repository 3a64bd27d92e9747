"""What the clean-up removes of the inbox and what it leaves, on each database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from libs.cleanup.metrics import CleanupMetrics
from libs.cleanup.remover import Remover
from libs.cleanup.run import Run
from libs.clock import SystemClock
from libs.sql.engine import open_database
from libs.sql.paging import PageTokens
from libs.telemetry.metrics import Metrics
from libs.work.job import NewJob
from libs.work.outbox import SqlOutbox
from services.webhooks.domain.event import State
from services.webhooks.events.store import SqlEventStore
from services.webhooks.tables import KEPT, replay, source_secret, work
from services.webhooks.upkeep import removal, wiring
from services.webhooks.upkeep.audit import OldRecords, SqlAuditTrail
from services.webhooks.upkeep.partitions import SqlPartitions
from tests.conformance.webhooks.upkeep.conftest import Inbox, new_event
from tests.support.event_store import open_event_store

DAYS = 30
OLD = timedelta(days=40)
YOUNG = timedelta(days=20)
KEY = b"the key of the audit trail"
EXACT = ("events", "replays", "rejections", "secrets")  # are foreseen exactly: of the others some may have to stay


def removers(inbox: Inbox) -> Sequence[Remover]:
    return wiring.removers(inbox.database, SqlPartitions(inbox.database, inbox.notes), KEY, days=lambda: DAYS)


async def retain(inbox: Inbox) -> dict[str, int]:
    now, run = datetime.now(UTC), Run(removers(inbox), counts=CleanupMetrics(Metrics(), []), clock=SystemClock())
    foreseen = {each.kind: each.count for each in await run.preview(now)}
    removals = await run.make(now)
    assert [each.problem for each in removals if each.problem] == []
    assert [foreseen[each.kind] for each in removals if each.kind in EXACT] == [
        each.count for each in removals if each.kind in EXACT
    ]
    return {each.kind: each.count for each in removals}


async def aged(inbox: Inbox, state: State, ago: timedelta, **changes: Any) -> str:
    """An event that was stored, and got into its state, so long ago."""
    event_id = await inbox.receive_in(state, ago=ago, **changes)
    await inbox.store_on(event_id, await inbox.today() - ago.days)
    return event_id


async def bodies(inbox: Inbox) -> set[str]:
    return {row[1] for row in (await inbox.dump())["event_body"]}


async def test_what_ended_long_ago_goes_with_all_that_belongs_to_it(inbox: Inbox) -> None:
    await aged(inbox, State.DONE, OLD, facts=("grabbed:1:2",))
    await aged(inbox, State.IGNORED, OLD)

    removed = await retain(inbox)

    assert removed["events"] == 2
    left = await inbox.dump()
    gone = ("event", "event_body", "event_fact", "event_acquisition", "work", "work_signal")
    assert {name: left[name] for name in gone} == {name: [] for name in gone}


@pytest.mark.parametrize("state", [State.DEAD, State.RETRY, State.UNMATCHED, State.RECEIVED], ids=str.lower)
async def test_what_waits_for_somebody_stays_and_can_be_read(inbox: Inbox, state: State) -> None:
    event_id = await aged(inbox, state, OLD)

    assert (await retain(inbox))["events"] == 0

    assert (await inbox.store.get(event_id)).body == new_event().body


async def test_what_ended_lately_stays_however_old_it_is(inbox: Inbox) -> None:
    young = await aged(inbox, State.DONE, YOUNG)
    late = await aged(inbox, State.DONE, OLD)
    await inbox.execute("UPDATE work SET updated = updated + 2592000000 WHERE id = :id", id=late)

    assert (await retain(inbox))["events"] == 0

    assert await bodies(inbox) == {young, late}
    assert (await inbox.store.get(late)).body == new_event().body


async def test_what_stays_is_still_known_when_it_comes_again(inbox: Inbox) -> None:
    dead, done = await aged(inbox, State.DEAD, OLD, key="dead"), await aged(inbox, State.DONE, YOUNG, key="done")
    gone = await aged(inbox, State.DONE, OLD, key="gone")
    await retain(inbox)

    receipts = await inbox.store.add([new_event(key=key) for key in ("dead", "done", "gone")])

    assert [receipt.duplicate for receipt in receipts] == [True, True, False]
    assert [receipt.event_id for receipt in receipts[:2]] == [dead, done]
    assert receipts[2].event_id != gone


async def test_a_dead_letter_that_was_decided_goes_in_time(inbox: Inbox) -> None:
    event_id = await aged(inbox, State.DEAD, OLD)
    await retain(inbox)
    await inbox.execute("UPDATE work SET state = 'IGNORED' WHERE id = :id", id=event_id)

    assert (await retain(inbox))["events"] == 1

    assert (await inbox.ids(), await bodies(inbox)) == (set(), set())


async def test_all_of_many_go_step_by_step(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "STEP", 3)
    for _ in range(7):
        await aged(inbox, State.DONE, OLD)
    await aged(inbox, State.DEAD, OLD)
    limited = removal.EndedEvents(inbox.database, lambda: DAYS)

    steps = [count async for count in limited.remove(datetime.now(UTC))]

    assert sum(steps) == 7
    assert max(steps) <= 3


async def test_an_event_that_is_replayed_meanwhile_stays(inbox: Inbox) -> None:
    event_id = await aged(inbox, State.DONE, OLD)
    ended = removal.EndedEvents(inbox.database, lambda: DAYS)
    before = removal.limit(datetime.now(UTC), DAYS)
    [seen] = await ended._some(before, (datetime(1970, 1, 1, tzinfo=UTC), ""))
    await inbox.execute("UPDATE work SET done = false, state = 'RECEIVED' WHERE id = :id", id=event_id)

    assert await ended._remove([seen.id], before) == 0

    assert (await inbox.store.get(event_id)).state is State.RECEIVED


async def test_refused_deliveries_are_forgotten(inbox: Inbox) -> None:
    add = (
        "INSERT INTO rejection (id, source, reason, cause, remote_address, body_size, headers, received_at)"
        " VALUES (:id, 'x', 'R', 'c', '', 0, '{}', :at)"
    )
    now = datetime.now(UTC)
    for name, moment in {"old": now - OLD, "young": now - YOUNG}.items():
        await inbox.execute(add, id=name, at=int(moment.timestamp() * 1000))

    assert (await retain(inbox))["rejections"] == 1

    assert await inbox.scalar("SELECT id FROM rejection") == "young"


async def test_secrets_go_when_their_time_has_passed_and_no_others(inbox: Inbox) -> None:
    now = datetime.now(UTC)
    times = {"passed": now - timedelta(hours=1), "valid": now + timedelta(hours=1), "lasting": None}
    kept = {"source": "shop", "sealed": b"", "fingerprint": "", "created": now}
    async with inbox.database.writing() as connection:
        await connection.execute(
            insert(source_secret), [kept | {"id": name, "expires": time} for name, time in times.items()]
        )

    assert (await retain(inbox))["secrets"] == 1

    assert {row[0] for row in (await inbox.dump())["source_secret"]} == {"valid", "lasting"}


async def test_replays_that_ended_long_ago_are_forgotten(inbox: Inbox) -> None:
    counts = {"events_per_second": 0, "matched": 0, "replayed": 0, "skipped": 0}
    empty = {"filter": "", "events": [], "force": False, "actor": "operator", "created": datetime.now(UTC), **counts}
    for name, state in {"rpl-old": "done = true, updated = 1", "rpl-runs": "updated = 1"}.items():
        async with inbox.database.writing() as connection:
            await connection.execute(insert(replay).values(id=name, **empty))
            await inbox.jobs.create(connection, NewJob(id=name, queue="replays", kind="replays", state="RUNNING"))
        await inbox.execute(f"UPDATE work SET {state} WHERE id = :id", id=name)

    assert (await retain(inbox))["replays"] == 1

    assert await inbox.scalar("SELECT id FROM replay") == "rpl-runs"
    assert await inbox.scalar("SELECT id FROM work") == "rpl-runs"


async def test_old_records_go_and_the_rest_of_the_trail_is_still_proven(inbox: Inbox) -> None:
    chained = SqlOutbox(inbox.database, work, chain_key=KEY)
    store = SqlEventStore(inbox.database, PageTokens(KEY), outbox=chained)
    for _ in range(5):
        await store.add([new_event()])
    await inbox.execute("UPDATE work SET updated = 1")  # as those whose records are old
    ahead = datetime.now(UTC) + timedelta(days=1)

    removed = [count async for count in OldRecords(inbox.database, KEY, lambda: 0).remove(ahead)]

    assert sum(removed) == 4  # the newest stays
    await store.add([new_event()])
    verdict = await SqlAuditTrail(inbox.database, PageTokens(KEY), KEY).verify(0, 0)
    assert (verdict.fault, verdict.records, verdict.complete) == ("", 2, True)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_bodies_leave_with_their_day_and_those_that_stay_are_moved_first(inbox: Inbox) -> None:
    dead, done = await aged(inbox, State.DEAD, OLD), await aged(inbox, State.DONE, OLD)
    day = await inbox.today() - OLD.days
    partitions = SqlPartitions(inbox.database, inbox.notes)
    assert day in await partitions.older_than(day + 1)

    removed = await retain(inbox)

    assert (removed["events"], removed["partitions"]) == (1, 1)
    assert await partitions.older_than(await inbox.today() - DAYS) == []
    assert await bodies(inbox) == {dead}
    assert await inbox.scalar("SELECT stored_on FROM event WHERE id = :id", id=dead) == KEPT
    assert done not in await inbox.ids()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_day_in_use_keeps_nobody_waiting_and_goes_later(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.webhooks.upkeep.partitions.DROP_TRIES", 1)
    await aged(inbox, State.DONE, OLD)
    async with inbox.database.reading() as reader:
        await reader.exec_driver_sql("SELECT count(*) FROM event_body")

        assert (await retain(inbox))["partitions"] == 0
        assert await inbox.receive()

    assert (await retain(inbox))["partitions"] == 1


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
async def test_a_day_that_holds_a_body_of_an_event_is_never_dropped(inbox: Inbox) -> None:
    event_id = await aged(inbox, State.DEAD, OLD)
    partitions = SqlPartitions(inbox.database, inbox.notes)

    assert not await partitions._drop(await inbox.today() - OLD.days)

    assert (await inbox.store.get(event_id)).body == new_event().body


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
async def test_a_file_that_is_set_up_for_it_gives_its_room_back(inbox: Inbox, tmp_path: Any) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/shrinking.db", schema="s") as database:
        async with database.writing() as connection:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            for statement in ("ROLLBACK", "PRAGMA auto_vacuum = 2", "VACUUM", "BEGIN"):
                await driver.execute(statement)
        store = await open_event_store(database)
        shrinking = replace(inbox, database=database, store=store)
        await aged(shrinking, State.DONE, OLD, body=bytes(500_000))
        before = await shrinking.scalar("PRAGMA page_count")

        removed = await retain(shrinking)

        assert removed["pages"] > 100
        assert await shrinking.scalar("PRAGMA page_count") < before - 100
