"""Replays on each database: every matching event once, at a pace, whoever intervenes."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.work.errors import ClaimLost
from services.webhooks.domain.event import EventNotFound
from services.webhooks.domain.replays import (
    BATCH,
    ReplayChanged,
    ReplayEnded,
    ReplayNotFound,
    ReplayState,
    RequestIdReused,
    Selection,
)
from services.webhooks.replays.batches import WINDOW
from services.webhooks.tables import replay as replay_table
from tests.support.database_clock import DatabaseClock
from tests.support.ledger import LONG_AGO, SECOND, Ledger
from tests.support.replaying import FAST, TTL, Replaying, counts, replaying

ALL = 'source = "lidarr"'
DEAD = 'state = "DEAD"'
HOUR = timedelta(hours=1)
FAR = datetime(2200, 1, 1, tzinfo=UTC)


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
def here(database: Database, ledger: Ledger) -> Replaying:
    clock = DatabaseClock()
    clock.advance(24 * HOUR)
    return replaying(database, clock)


async def replayed(ledger: Ledger, event_ids: list[str], replay_id: str) -> list[int]:
    """How often a replay has reset each of these events."""
    times = []
    for event_id in event_ids:
        times.append(sum(detail == {"replay": replay_id} for _, _, _, detail in await ledger.told(event_id)))
    return times


async def test_what_matches_begins_anew(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=3)
    others = await ledger.put(source="shop")

    ended = await here.run(await here.start(filter=ALL))

    assert (ended.state, counts(ended)) == (ReplayState.COMPLETED, (3, 3, 0))
    assert await ledger.states([*dead, *others]) == ["RECEIVED"] * 3 + ["DEAD"]
    assert await ledger.reasons(dead) == [""] * 3


async def test_each_event_tells_who_replayed_it_and_by_which_replay(here: Replaying, ledger: Ledger) -> None:
    [event_id] = await ledger.put()

    ended = await here.run(await here.start(filter=ALL))

    assert await ledger.told(event_id) == [("DEAD", "RECEIVED", "ann", {"replay": ended.id})]


async def test_more_than_a_batch_is_replayed_once_each(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=2 * BATCH + 5)

    ended = await here.run(await here.start(filter=DEAD))

    assert counts(ended) == (len(dead), len(dead), 0)
    assert set(await replayed(ledger, dead, ended.id)) == {1}


async def test_events_received_in_the_same_moment_are_all_taken(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=BATCH + 1, received_at=LONG_AGO)

    ended = await here.run(await here.start(filter=DEAD))

    assert set(await replayed(ledger, dead, ended.id)) == {1}


async def test_what_took_effect_is_taken_with_force_only(here: Replaying, ledger: Ledger) -> None:
    done = await ledger.put("DONE", count=2)

    gently = await here.run(await here.start(filter=ALL))
    forced = await here.run(await here.start(filter=ALL, force=True))

    assert (counts(gently), counts(forced)) == ((2, 0, 2), (2, 2, 0))
    assert await replayed(ledger, done, forced.id) == [1, 1]


async def test_what_contradicts_another_event_is_taken_with_force_only(here: Replaying, ledger: Ledger) -> None:
    await ledger.put(reason="KEY_CONFLICT")

    gently = await here.run(await here.start(filter=ALL))
    forced = await here.run(await here.start(filter=ALL, force=True))

    assert (counts(gently), counts(forced)) == ((1, 0, 1), (1, 1, 0))


async def test_what_is_on_its_way_is_passed_over(here: Replaying, ledger: Ledger, database: Database) -> None:
    await ledger.put("RECEIVED")
    await ledger.put("RETRY")
    await ledger.put("UNMATCHED", lease_until=FAR)  # PROCESSING

    ended = await here.run(await here.start(filter=ALL, force=True))

    assert counts(ended) == (3, 0, 3)


async def test_an_event_that_nobody_waits_for_is_taken(here: Replaying, ledger: Ledger) -> None:
    [event_id] = await ledger.put("UNMATCHED")

    ended = await here.run(await here.start(filter='state = "UNMATCHED"'))

    assert counts(ended) == (1, 1, 0)
    assert await ledger.states([event_id]) == ["RECEIVED"]


async def test_events_that_come_after_the_start_are_not_taken(here: Replaying, ledger: Ledger) -> None:
    await ledger.put(count=2)
    begun = await here.start(filter=ALL)
    later = await ledger.put(stored_at=here.clock.time + SECOND, count=2)

    ended = await here.run(begun)

    assert counts(ended) == (2, 2, 0)
    assert await ledger.states(later) == ["DEAD", "DEAD"]


async def test_what_changed_since_the_start_is_passed_over(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=2)
    begun = await here.start(filter=ALL)
    await ledger.touch(dead[0], here.clock.time + SECOND)

    ended = await here.run(begun)

    assert counts(ended) == (2, 1, 1)
    assert await replayed(ledger, dead, ended.id) == [0, 1]


async def test_what_is_gone_by_its_turn_is_passed_over(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=3)
    begun = await here.start(filter=ALL)
    await ledger.remove(dead[1])

    assert counts(await here.run(begun)) == (3, 2, 1)


async def test_what_is_removed_between_look_and_reset_is_passed_over(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=2)
    begun = await here.start(filter=ALL)
    claim = await here.claim()
    outcome = await here.step(claim)
    await ledger.remove(dead[0])

    assert isinstance(await here.finish(claim, outcome), int)

    assert counts(await here.replays.get(begun.id)) == (2, 1, 1)


async def test_much_that_is_passed_over_hides_nothing_behind_it(here: Replaying, ledger: Ledger) -> None:
    await ledger.put("DONE", count=WINDOW + 3)
    [dead] = await ledger.put()

    ended = await here.run(await here.start(filter=ALL))

    assert counts(ended) == (WINDOW + 4, 1, WINDOW + 3)
    assert await ledger.states([dead]) == ["RECEIVED"]


async def test_named_events_and_times_narrow_the_selection(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=5)  # received after 1 to 5 seconds

    begun = await here.start(events=tuple(dead[:3]), since=LONG_AGO + 2 * SECOND, until=LONG_AGO + 5 * SECOND)
    ended = await here.run(begun)

    assert counts(ended) == (2, 2, 0)
    assert await replayed(ledger, dead, ended.id) == [0, 1, 1, 0, 0]


async def test_an_event_that_is_named_must_be_there(here: Replaying, ledger: Ledger) -> None:
    with pytest.raises(EventNotFound, match="evt-none"):
        await here.start(events=("evt-none",))


async def test_a_filter_that_cannot_be_read_begins_nothing(here: Replaying) -> None:
    with pytest.raises(InvalidArgument, match="filter"):
        await here.start(filter="nonsense = 1")
    assert (await here.replays.page(page_size=0, page_token="")).replays == []


async def test_a_filter_that_cannot_be_read_any_more_fails_with_its_reason(
    here: Replaying, ledger: Ledger, database: Database
) -> None:
    await ledger.put()
    begun = await here.start(filter=ALL)
    async with database.writing() as connection:
        await connection.execute(update(replay_table).values(filter="colour = red"))

    ended = await here.run(begun)

    assert ended.state is ReplayState.FAILED
    assert "colour" in ended.error


async def test_a_preview_says_what_would_be_done_and_does_nothing(here: Replaying, ledger: Ledger) -> None:
    done = await ledger.put("DONE", count=2)
    dead = await ledger.put(count=3)

    preview = await here.replays.preview(Selection(filter=ALL))

    assert (preview.matched, preview.skipped, list(preview.samples)) == (5, 2, dead)
    assert await ledger.states([*done, *dead]) == ["DONE"] * 2 + ["DEAD"] * 3
    assert (await here.replays.page(page_size=0, page_token="")).replays == []


@pytest.mark.parametrize("rate", [1, 10, 50])
async def test_no_more_events_than_the_rate_are_replayed_in_any_second(
    here: Replaying, ledger: Ledger, rate: int
) -> None:
    await ledger.put(count=3 * rate)
    begun = await here.start(rate, filter=ALL)

    tick, totals = SECOND / 10, [0]
    while (await here.replays.get(begun.id)).state is ReplayState.RUNNING:
        await here.work.worker.run_once()
        totals.append((await here.replays.get(begun.id)).replayed)
        here.clock.advance(tick)

    batch = max(1, rate // 4)
    seconds = [later - sooner for sooner, later in zip(totals, totals[10:], strict=False)]
    assert totals[-1] == 3 * rate
    assert max(seconds, default=0) <= rate + batch


async def test_the_pace_survives_a_restart(here: Replaying, ledger: Ledger, database: Database) -> None:
    await ledger.put(count=3)
    begun = await here.start(1, filter=ALL)
    await here.work.worker.run_once()

    restarted = replaying(database, here.clock)
    await restarted.work.worker.run_once()

    assert (await here.replays.get(begun.id)).replayed == 1


async def test_the_same_request_is_one_replay(here: Replaying, ledger: Ledger) -> None:
    await ledger.put()
    request = str(uuid.uuid4())

    made = await asyncio.gather(*(here.start(filter=ALL, request_id=request) for _ in range(3)))

    assert len({one.id for one in made}) == 1
    assert len((await here.replays.page(page_size=0, page_token="")).replays) == 1


async def test_a_request_id_is_of_one_selection(here: Replaying, ledger: Ledger) -> None:
    request = str(uuid.uuid4())
    await here.start(filter=ALL, request_id=request)

    with pytest.raises(RequestIdReused):
        await here.start(filter=DEAD, request_id=request)


async def test_a_pause_drops_the_batch_that_is_under_way(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=2)
    begun = await here.start(filter=ALL)
    claim = await here.claim()
    outcome = await here.step(claim)

    paused = await here.steer(begun, ReplayState.PAUSED)

    assert isinstance(await here.finish(claim, outcome), ClaimLost)
    assert (paused.state, counts(paused)) == (ReplayState.PAUSED, (2, 0, 0))
    assert await ledger.states(dead) == ["DEAD", "DEAD"]


async def test_a_paused_replay_rests_until_it_is_resumed(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=3)
    begun = await here.start(1, filter=ALL)
    await here.work.worker.run_once()
    await here.steer(begun, ReplayState.PAUSED)
    here.clock.advance(24 * HOUR)

    assert await here.work.worker.run_once() == 0
    await here.steer(begun, ReplayState.RUNNING)

    assert counts(await here.run(begun)) == (3, 3, 0)
    assert await replayed(ledger, dead, begun.id) == [1, 1, 1]


async def test_a_cancelled_replay_is_over_at_once(here: Replaying, ledger: Ledger) -> None:
    dead = await ledger.put(count=3)
    begun = await here.start(1, filter=ALL)
    await here.work.worker.run_once()
    here.clock.advance(SECOND)

    cancelled = await here.steer(begun, ReplayState.CANCELLED)

    assert (cancelled.state, counts(cancelled)) == (ReplayState.CANCELLED, (3, 1, 0))
    assert await here.work.worker.run_once() == 0
    assert await ledger.states(dead) == ["RECEIVED", "DEAD", "DEAD"]


@pytest.mark.parametrize("state", [ReplayState.PAUSED, ReplayState.RUNNING, ReplayState.CANCELLED])
async def test_steering_twice_changes_nothing_more(here: Replaying, ledger: Ledger, state: ReplayState) -> None:
    await ledger.put(count=2)
    begun = await here.start(1, filter=ALL)

    once = await here.steer(begun, state)

    assert await here.steer(begun, state) == once


async def test_an_ended_replay_is_not_steered(here: Replaying, ledger: Ledger) -> None:
    ended = await here.run(await here.start(filter=ALL))

    with pytest.raises(ReplayEnded):
        await here.steer(ended, ReplayState.PAUSED)


async def test_an_old_etag_steers_nothing(here: Replaying, ledger: Ledger) -> None:
    begun = await here.start(filter=ALL)
    await here.steer(begun, ReplayState.PAUSED, begun.etag)

    with pytest.raises(ReplayChanged):
        await here.steer(begun, ReplayState.CANCELLED, begun.etag)


async def test_a_replay_that_is_not_there_has_a_name(here: Replaying, ledger: Ledger) -> None:
    [event_id] = await ledger.put()

    for replay_id in ("rpl-none", event_id):
        with pytest.raises(ReplayNotFound):
            await here.replays.get(replay_id)
        with pytest.raises(ReplayNotFound):
            await here.replays.steer(replay_id, ReplayState.PAUSED, etag="", actor="ben")


async def test_two_replicas_replay_nothing_twice(here: Replaying, ledger: Ledger, database: Database) -> None:
    dead = await ledger.put(count=3 * BATCH)
    begun = await here.start(FAST, filter=ALL)
    other = replaying(database, here.clock)

    ended, _ = await asyncio.gather(here.run(begun), other.run(begun))

    assert counts(ended) == (len(dead), len(dead), 0)
    assert set(await replayed(ledger, dead, begun.id)) == {1}


async def test_a_batch_whose_holder_died_is_done_by_the_next_one(
    here: Replaying, ledger: Ledger, database: Database
) -> None:
    dead = await ledger.put(count=2)
    begun = await here.start(filter=ALL)
    zombie = await here.claim()
    outcome = await here.step(zombie)
    here.clock.advance(2 * TTL)

    ended = await replaying(database, here.clock).run(begun)

    assert isinstance(await here.finish(zombie, outcome), ClaimLost)
    assert counts(ended) == (2, 2, 0)
    assert await replayed(ledger, dead, begun.id) == [1, 1]


async def test_replays_are_listed_page_by_page_newest_first(here: Replaying, ledger: Ledger) -> None:
    begun = []
    for _ in range(3):
        begun.append((await here.start(filter=ALL)).id)
        here.clock.advance(SECOND)

    first = await here.replays.page(page_size=2, page_token="")
    second = await here.replays.page(page_size=2, page_token=first.next_token)

    assert [one.id for one in (*first.replays, *second.replays)] == begun[::-1]


async def test_what_replays_do_is_counted(here: Replaying, ledger: Ledger) -> None:
    await ledger.put(count=2)
    await ledger.put("DONE")

    await here.run(await here.start(filter=ALL))

    printed = here.metrics.render().decode()
    assert 'lockgroove_webhook_replay_events_total{outcome="replayed"} 2.0' in printed
    assert 'lockgroove_webhook_replay_events_total{outcome="skipped"} 1.0' in printed
    assert 'lockgroove_webhook_replays_ended_total{state="completed"} 1.0' in printed
