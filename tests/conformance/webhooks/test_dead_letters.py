"""Dead letters on each database: counted and grouped by it, and decided about once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from libs import ids
from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.types import now_ms
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from services.webhooks.dead_letters.rows import COUNTS
from services.webhooks.dead_letters.store import SqlDeadLetters
from services.webhooks.domain.dead_letters import EventNotDead, Group, Query
from services.webhooks.domain.event import EventNotFound, State
from services.webhooks.tables import work
from tests.support.ledger import LONG_AGO, Ledger

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def letters(database: Database, ledger: Ledger) -> SqlDeadLetters:
    interventions = SqlInterventions(work, SqlOutbox(database, work, now=now_ms()))
    return SqlDeadLetters(database, interventions, tokens=PageTokens(b"page tokens of tests"))


async def listed(letters: SqlDeadLetters, query: Query) -> list[str]:
    return [event.id for event in (await letters.page(query)).events]


async def grouped(letters: SqlDeadLetters) -> Sequence[Group]:
    return (await letters.groups(page_size=0, page_token="")).groups


async def test_only_dead_events_are_listed_and_the_newest_first(letters: SqlDeadLetters, ledger: Ledger) -> None:
    dead = await ledger.put(count=3)
    for state in ("DONE", "IGNORED", "RETRY", "UNMATCHED"):
        await ledger.put(state)

    assert await listed(letters, Query()) == dead[::-1]


async def test_pages_follow_each_other(letters: SqlDeadLetters, ledger: Ledger) -> None:
    dead = await ledger.put(count=5)

    first = await letters.page(Query(page_size=3))
    second = await letters.page(Query(page_size=3, page_token=first.next_token))

    assert [event.id for event in (*first.events, *second.events)] == dead[::-1]
    assert second.next_token == ""


async def test_an_offset_passes_over_the_newest(letters: SqlDeadLetters, ledger: Ledger) -> None:
    dead = await ledger.put(count=5)

    page = await letters.page(Query(page_size=2, offset=2))
    rest = await letters.page(Query(page_size=2, page_token=page.next_token, offset=2))

    assert [event.id for event in (*page.events, *rest.events)] == [dead[2], dead[1], dead[0]]


async def test_the_list_is_filtered_like_events(letters: SqlDeadLetters, ledger: Ledger) -> None:
    await ledger.put(source="lidarr")
    others = await ledger.put(source="shop")

    assert await listed(letters, Query(filter='source = "shop"')) == others


async def test_a_token_belongs_to_its_filter(letters: SqlDeadLetters, ledger: Ledger) -> None:
    await ledger.put(count=2)
    token = (await letters.page(Query(page_size=1))).next_token

    with pytest.raises(InvalidArgument, match="page_token"):
        await letters.page(Query(page_size=1, page_token=token, filter='source = "shop"'))


async def test_the_summary_counts_by_source_and_by_reason(letters: SqlDeadLetters, ledger: Ledger) -> None:
    await ledger.put(count=3, reason="HANDLER_ERROR")
    await ledger.put(count=2, reason="UNREADABLE", source="shop")
    await ledger.put("DONE")

    summary = await letters.summary()

    assert summary.total == 5
    assert summary.by_source == {"lidarr": 3, "shop": 2}
    assert summary.by_reason == {"HANDLER_ERROR": 3, "UNREADABLE": 2}


async def test_the_summary_tells_the_ages_of_the_oldest_and_the_newest(letters: SqlDeadLetters, ledger: Ledger) -> None:
    for minutes, reason in ((0, "REJECTED"), (3, "UNREADABLE"), (10, "REJECTED")):
        await ledger.put(received_at=LONG_AGO + minutes * MINUTE, reason=reason)

    summary = await letters.summary()

    assert summary.oldest is not None
    assert summary.newest is not None
    assert summary.oldest - summary.newest == 10 * MINUTE


async def test_without_dead_letters_there_is_nothing_to_summarize(letters: SqlDeadLetters, ledger: Ledger) -> None:
    summary = await letters.summary()

    assert (summary.total, summary.oldest, summary.newest) == (0, None, None)
    assert await grouped(letters) == []


async def test_errors_that_differ_in_ids_and_numbers_only_are_one_group(
    letters: SqlDeadLetters, ledger: Ledger
) -> None:
    for number in range(3):
        await ledger.put(error=f"refused: {ids.new('acq')} has no album {number}")
    await ledger.put(error="refused: no")

    largest, other = await grouped(letters)

    assert (largest.count, largest.kind.error) == (3, "refused: {id} has no album {n}")
    assert (other.count, other.kind.error) == (1, "refused: no")


async def test_source_and_reason_are_groups_of_their_own(letters: SqlDeadLetters, ledger: Ledger) -> None:
    await ledger.put(error="no")
    await ledger.put(error="no", reason="REJECTED")
    await ledger.put(error="no", source="shop")

    kinds = {(group.kind.source, group.kind.reason) for group in await grouped(letters)}

    assert kinds == {("lidarr", "HANDLER_ERROR"), ("lidarr", "REJECTED"), ("shop", "HANDLER_ERROR")}


async def test_a_group_shows_its_newest_five_and_its_times(letters: SqlDeadLetters, ledger: Ledger) -> None:
    dead: list[str] = []
    times: list[datetime] = []
    for minutes in range(12):
        times.append(LONG_AGO + minutes * MINUTE)
        dead += await ledger.put(error=f"took {minutes % 7} s", received_at=times[-1])

    [group] = await grouped(letters)

    assert group.samples == dead[:-6:-1]
    assert (group.first, group.last, group.count) == (times[0], times[-1], 12)


async def test_pages_of_groups_follow_each_other(letters: SqlDeadLetters, ledger: Ledger) -> None:
    for count, error in ((1, "a"), (3, "b"), (2, "c"), (1, "d")):
        await ledger.put(count=count, error=error)

    first = await letters.groups(page_size=2, page_token="")
    second = await letters.groups(page_size=2, page_token=first.next_token)

    assert [group.count for group in first.groups] == [3, 2]
    assert {group.kind.error for group in second.groups} == {"a", "d"}
    assert second.next_token == ""


async def test_a_dead_letter_that_is_replayed_begins_anew(letters: SqlDeadLetters, ledger: Ledger) -> None:
    [event_id] = await ledger.put(error="no")

    event = (await letters.replay(event_id, actor="ann")).event

    assert event.state is State.RECEIVED
    assert event.progress.error == ""
    assert await ledger.told(event_id) == [("DEAD", "RECEIVED", "ann", {"replayed": True})]
    assert (await letters.summary()).total == 0


async def test_replaying_it_again_while_it_is_on_its_way_changes_nothing(
    letters: SqlDeadLetters, ledger: Ledger
) -> None:
    [event_id] = await ledger.put()
    first = await letters.replay(event_id, actor="ann")

    second = await letters.replay(event_id, actor="ben")

    assert (first.is_new, second) == (True, replace(first, is_new=False))
    assert len(await ledger.told(event_id)) == 1


@pytest.mark.parametrize("state", ["DONE", "IGNORED"])
async def test_what_is_no_dead_letter_is_not_replayed_as_one(
    letters: SqlDeadLetters, ledger: Ledger, state: str
) -> None:
    [event_id] = await ledger.put(state)

    with pytest.raises(EventNotDead):
        await letters.replay(event_id, actor="ann")
    assert await ledger.states([event_id]) == [state]


async def test_an_event_that_is_not_there_is_neither_replayed_nor_discarded(letters: SqlDeadLetters) -> None:
    with pytest.raises(EventNotFound):
        await letters.replay("evt-none", actor="ann")
    with pytest.raises(EventNotFound):
        await letters.discard("evt-none", reason="", actor="ann")


async def test_of_a_selection_each_is_replayed_for_itself(letters: SqlDeadLetters, ledger: Ledger) -> None:
    dead = await ledger.put(count=2)
    [done] = await ledger.put("DONE")

    result = await letters.replay_many([dead[0], "evt-none", done, dead[1], dead[0]], actor="ann")

    assert (result.replayed, result.decided) == (2, 2)
    assert set(result.errors) == {"evt-none", done}
    assert all(event_id in error for event_id, error in result.errors.items())
    assert await ledger.states([*dead, done]) == ["RECEIVED", "RECEIVED", "DONE"]
    assert await ledger.reasons(dead) == ["", ""]
    assert (await letters.replay_many(dead, actor="ben")).decided == 0


async def test_a_discarded_letter_is_ignored_and_says_by_whom_and_why(letters: SqlDeadLetters, ledger: Ledger) -> None:
    [event_id] = await ledger.put()

    event = (await letters.discard(event_id, reason="a test of theirs", actor="ann")).event

    assert event.state is State.IGNORED
    detail = {"discarded": True, "reason": "a test of theirs"}
    assert await ledger.told(event_id) == [("DEAD", "IGNORED", "ann", detail)]
    assert (await letters.summary()).total == 0


async def test_discarding_it_again_changes_nothing(letters: SqlDeadLetters, ledger: Ledger) -> None:
    [event_id] = await ledger.put()
    first = await letters.discard(event_id, reason="", actor="ann")

    second = await letters.discard(event_id, reason="again", actor="ben")

    assert (first.is_new, second) == (True, replace(first, is_new=False))
    assert len(await ledger.told(event_id)) == 1


@pytest.mark.parametrize("state", ["DONE", "RECEIVED", "RETRY", "UNMATCHED"])
async def test_what_is_no_dead_letter_is_not_discarded(letters: SqlDeadLetters, ledger: Ledger, state: str) -> None:
    [event_id] = await ledger.put(state)

    with pytest.raises(EventNotDead):
        await letters.discard(event_id, reason="", actor="ann")
    assert await ledger.states([event_id]) == [state]


async def test_they_are_counted_without_a_walk_over_all_events(database: Database) -> None:
    explain = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    async with database.writing() as connection:
        if database.dialect == "postgresql":
            await connection.execute(text("SET LOCAL enable_seqscan = off"))  # so few rows are walked over otherwise
        counted = COUNTS.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
        plan = await connection.exec_driver_sql(f"{explain} {counted}")

        assert "event_reason" in " ".join(str(tuple(row)) for row in plan)
