"""Batches whose workers die, come in pairs, or find that somebody else was first."""

import asyncio
from datetime import timedelta

import pytest

from libs.work.errors import ClaimLost
from libs.work.job import Finish
from services.acquisition.batches.worker import ASKED_AT_ONCE, Rest
from services.acquisition.domain.acquisition import Acquisition
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.batch import BatchState
from services.acquisition.domain.batches import BatchChanged, Change
from services.acquisition.domain.wish import Wish
from tests.conformance.batches.conftest import TTL, Batching, album

REQUEST = "6f1f7bb0-5c3c-4f5e-9a53-0a8b53c1d0a1"
SECOND = timedelta(seconds=1)


async def test_acquisitions_of_a_worker_that_died_before_it_recorded_them_are_taken_over(here: Batching) -> None:
    joined = await here.ask("Lorem")
    made = await here.create("Lorem", "Ipsum")
    await here.work.step(*await here.claim(made))  # and no word of it
    orphans = {one.id for one in (await here.acquisitions.list(Query())).acquisitions}

    await here.pass_(TTL + SECOND)
    found = await here.batches.get(made.id)

    assert {one.acquisition for one in found.albums} == orphans
    assert [(one.acquisition == joined.id, one.own) for one in found.albums] == [(True, False), (False, True)]


async def test_acquisitions_that_ended_before_they_were_recorded_are_not_made_once_more(here: Batching) -> None:
    made = await here.create("Lorem")
    await here.work.step(*await here.claim(made))
    [orphan] = (await here.acquisitions.list(Query())).acquisitions
    await here.completes(orphan)

    ended = await here.settle(made)

    assert (ended.state, ended.albums[0].acquisition) == (BatchState.COMPLETED, orphan.id)
    assert len((await here.acquisitions.list(Query())).acquisitions) == 1


async def test_a_priority_that_changed_while_a_step_asked_holds_for_what_it_made(here: Batching) -> None:
    made = await here.create("Lorem", "Ipsum")

    async def ask_late(wish: Wish) -> Acquisition:
        await here.batches.change(made.id, Change(priority=8), etag="", actor="ann")
        return await here.acquisitions.create(wish)

    claim, context = await here.claim(made)
    before = await here.another(ask_late).step(claim, context)
    [lost] = await here.jobs.finish_many([Finish(claim=claim, outcome=before)])
    await here.pass_()

    assert isinstance(lost, ClaimLost)
    assert [one.priority for one in await here.of(made)] == [8, 8]


async def test_a_worker_that_asks_beside_its_successor_fails_no_album(here: Batching) -> None:
    made = await here.create("Lorem")
    outcomes = []

    async def ask_late(wish: Wish) -> Acquisition:
        async def ask_behind(newer: Wish) -> Acquisition:
            await here.acquisitions.create(wish)
            return await here.acquisitions.create(newer)

        await here.batches.change(made.id, Change(priority=8), etag="", actor="ann")  # takes it from this worker
        claim, context = await here.claim(made)
        successor = here.another(ask_behind)
        with pytest.raises(BatchChanged) as overtaken:
            await successor.step(claim, context)
        outcomes.append(successor.failed(claim, overtaken.value))
        return await here.acquisitions.create(wish)

    await here.another(ask_late).step(*await here.claim(made))
    await here.pass_(TTL + SECOND)

    assert [type(outcome) for outcome in outcomes] == [Rest]
    assert [one.state.value for one in (await here.batches.get(made.id)).albums] == ["ACTIVE"]
    assert [one.priority for one in await here.of(made)] == [8]


async def test_a_step_that_was_overtaken_writes_nothing_and_begins_with_what_it_finds(here: Batching) -> None:
    made = await here.asked("Lorem")
    [lorem] = await here.of(made)
    await here.fails(lorem)
    here.clock.advance(20 * SECOND)
    claim, context = await here.claim(made)
    before = await here.work.step(claim, context)  # about to say that all of it failed
    await here.batches.add(made.id, [album("Ipsum")], etag=made.etag, actor="ann")
    [lost] = await here.jobs.finish_many([Finish(claim=claim, outcome=before)])

    while await here.pass_():
        continue
    found = await here.batches.get(made.id)

    assert isinstance(lost, ClaimLost)
    assert found.state is BatchState.DOWNLOADING
    assert [one.state.value for one in found.albums] == ["FAILED", "ACTIVE"]


async def test_a_cancel_that_comes_before_the_end_of_a_step_wins(here: Batching) -> None:
    made = await here.asked("Lorem")
    await here.fails((await here.of(made))[0])
    here.clock.advance(20 * SECOND)
    claim, context = await here.claim(made)
    outcome = await here.work.step(claim, context)
    await here.batches.cancel(made.id, etag=made.etag, actor="ann")

    [refused] = await here.jobs.finish_many([Finish(claim=claim, outcome=outcome)])

    assert isinstance(refused, BatchChanged)
    assert isinstance(here.work.failed(claim, refused), Rest)
    await here.jobs.release(claim)
    assert (await here.settle(made)).state is BatchState.CANCELLED


async def test_two_workers_ask_for_each_album_once(here: Batching) -> None:
    albums = ASKED_AT_ONCE + 1
    made = [await here.create(*(f"{batch} {number}" for number in range(albums))) for batch in range(2)]
    workers = [here.work.worker, here.another(here.acquisitions.create).worker]

    for _ in range(4):
        await asyncio.gather(*[worker.run_once() for worker in workers])
    asked = [one.id for batch in made for one in await here.of(batch)]

    assert len(asked) == len(set(asked)) == 2 * albums
    assert len((await here.acquisitions.list(Query(page_size=1000))).acquisitions) == 2 * albums


# Cancel.


async def test_a_cancel_stops_its_own_acquisitions_first(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")
    lorem, ipsum = await here.of(made)
    await here.completes(lorem)
    await here.batches.cancel(made.id, etag="", actor="ann")
    await here.pass_()
    between = await here.batches.get(made.id)
    asked = await here.cancels()
    await here.stops(ipsum)

    ended = await here.settle(made)

    assert (between.state, asked) == (BatchState.DOWNLOADING, ["Ipsum"])
    assert (ended.state, [one.state.value for one in ended.albums]) == (
        BatchState.CANCELLED,
        ["COMPLETED", "CANCELLED"],
    )


async def test_what_others_asked_for_goes_on_whoever_was_first(here: Batching) -> None:
    await here.ask("Before")
    made = await here.asked("Before", "Behind", "Without a request id", "Also mine", "Alone")
    other = await here.asked("Also mine")
    await here.ask("Behind", request_id=REQUEST)
    await here.ask("Without a request id")

    await here.batches.cancel(made.id, etag="", actor="ann")
    await here.pass_()

    assert await here.cancels() == ["Alone"]
    assert (await here.batches.get(other.id)).state is BatchState.DOWNLOADING


async def test_what_another_batch_wants_no_more_is_stopped_with_the_last_that_does(here: Batching) -> None:
    made, other = await here.asked("Lorem"), await here.asked("Lorem")
    await here.batches.cancel(other.id, etag="", actor="ann")
    await here.settle(other)
    before = await here.cancels()

    await here.batches.cancel(made.id, etag="", actor="ann")
    await here.pass_()

    assert (before, await here.cancels()) == ([], ["Lorem"])


async def test_a_worker_that_dies_in_the_middle_of_a_cancel_leaves_it_to_the_next(here: Batching) -> None:
    made = await here.create("Lorem", "Ipsum")
    await here.work.step(*await here.claim(made))  # its acquisitions are made, and nobody knows
    await here.batches.cancel(made.id, etag="", actor="ann")
    here.clock.advance(TTL + SECOND)
    claim, context = await here.claim(made)
    await here.work.cancelled(claim, context)  # has asked them to stop, and dies
    for one in (await here.acquisitions.list(Query())).acquisitions:
        await here.stops(one)

    here.clock.advance(TTL + SECOND)
    ended = await here.settle(made)

    assert ended.state is BatchState.CANCELLED
    assert [one.state.value for one in ended.albums] == ["CANCELLED", "CANCELLED"]


async def test_a_cancel_passes_the_pause_of_everything(here: Batching) -> None:
    made = await here.create("Lorem")
    await here.jobs.pause("*", paused=True)
    await here.batches.cancel(made.id, etag="", actor="ann")

    assert (await here.settle(made)).state is BatchState.CANCELLED


async def test_cancelling_again_finds_it_cancelled(here: Batching) -> None:
    made = await here.create("Lorem")
    await here.batches.cancel(made.id, etag="", actor="ann")
    ended = await here.settle(made)

    assert await here.batches.cancel(made.id, etag=ended.etag, actor="ann") == ended


async def test_a_batch_that_keeps_killing_its_workers_fails_with_what_was_left(here: Batching) -> None:
    made = await here.create("Lorem")
    for _ in range(7):
        await here.claim(made)
        here.clock.advance(TTL + SECOND)

    await here.pass_()
    found = await here.batches.get(made.id)

    assert found.failure is not None
    assert (found.state, found.failure.reason) == (BatchState.FAILED, "CRASH_LOOP")
    assert [one.state.value for one in found.albums] == ["FAILED"]
