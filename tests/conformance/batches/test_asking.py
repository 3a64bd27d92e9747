"""What callers may do with batches, on SQLite and PostgreSQL alike."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from libs.errors import InvalidArgument
from services.acquisition.domain.acquisition import WrongState
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.batch import AlbumState, Batch, BatchState, Counts
from services.acquisition.domain.batches import (
    MOST_ALBUMS,
    BatchChanged,
    BatchFull,
    BatchNotFound,
    Change,
    RequestIdReused,
)
from tests.conformance.batches.conftest import Batching, album

Write = Callable[[Batching, Batch, str], Awaitable[Batch]]

REQUEST = "6f1f7bb0-5c3c-4f5e-9a53-0a8b53c1d0a1"


def titles(batch: Batch) -> list[str]:
    return [one.album.title for one in batch.albums]


async def change(here: Batching, batch: Batch, etag: str) -> Batch:
    return await here.batches.change(batch.id, Change(title="Changed"), etag=etag, actor="ann")


async def add(here: Batching, batch: Batch, etag: str) -> Batch:
    return await here.batches.add(batch.id, [album("Ipsum")], etag=etag, actor="ann")


async def cancel(here: Batching, batch: Batch, etag: str) -> Batch:
    return await here.batches.cancel(batch.id, etag=etag, actor="ann")


async def test_a_new_batch_is_downloading_with_its_albums_in_order(here: Batching) -> None:
    made = await here.create("Lorem", "Ipsum", "Dolor", title="Weekly")

    found = await here.batches.get(made.id)

    assert found == made
    assert (found.state, found.title, found.owner, found.priority) == (BatchState.DOWNLOADING, "Weekly", "ann", 3)
    assert titles(found) == ["Lorem", "Ipsum", "Dolor"]
    assert {one.state for one in found.albums} == {AlbumState.ACTIVE}


async def test_albums_that_are_equal_count_once(here: Batching) -> None:
    made = await here.create("Lorem", "LOREM!", "Ipsum", " lorem ")

    assert titles(made) == ["Lorem", "Ipsum"]


async def test_a_batch_of_nothing_is_refused_by_its_field(here: Batching) -> None:
    with pytest.raises(InvalidArgument) as refused:
        await here.create()

    assert [violation.field for violation in refused.value.violations] == ["batch.albums"]


async def test_twenty_calls_with_one_request_id_make_one_batch(here: Batching) -> None:
    made = await asyncio.gather(*[here.create("Lorem", request_id=REQUEST) for _ in range(20)])

    assert len({batch.id for batch in made}) == 1
    assert len((await here.batches.list(Query())).batches) == 1


async def test_a_request_id_that_was_used_for_other_albums_is_refused(here: Batching) -> None:
    await here.create("Lorem", request_id=REQUEST)

    with pytest.raises(RequestIdReused):
        await here.create("Ipsum", request_id=REQUEST)


async def test_of_twenty_updates_with_one_etag_one_wins_and_all_others_learn_the_new_etag(here: Batching) -> None:
    made = await here.asked("Lorem", "Ipsum")

    async def titled(number: int) -> Batch | BatchChanged:
        try:
            new = Change(title=f"Title {number}")
            return await here.batches.change(made.id, new, etag=made.etag, actor="ann")
        except BatchChanged as error:
            return error

    results = await asyncio.gather(*[titled(number) for number in range(20)])
    [winner] = [result for result in results if isinstance(result, Batch)]
    losers = [result for result in results if isinstance(result, BatchChanged)]
    found = await here.batches.get(made.id)

    assert (found.title, found.etag) == (winner.title, winner.etag)
    assert {(error.code_reason, error.metadata["etag"]) for error in losers} == {("ETAG_MISMATCH", found.etag)}
    assert len(losers) == 19


async def test_of_writers_that_read_again_and_decide_again_nothing_is_lost(here: Batching) -> None:
    made = await here.create("Lorem")

    async def one_more(number: int) -> None:
        while True:
            read = await here.batches.get(made.id)
            try:
                await here.batches.add(made.id, [album(f"Album {number}")], etag=read.etag, actor="ann")
                return
            except BatchChanged:
                continue

    async def work() -> None:
        for _ in range(10):
            await here.pass_()

    await asyncio.gather(work(), *[one_more(number) for number in range(10)])
    found = await here.batches.get(made.id)

    assert sorted(titles(found)) == sorted(["Lorem", *(f"Album {number}" for number in range(10))])


@pytest.mark.parametrize("write", [change, add, cancel])
async def test_every_writer_compares_the_etag(here: Batching, write: Write) -> None:
    read = await here.create("Lorem")
    await change(here, read, etag="")

    with pytest.raises(BatchChanged):
        await write(here, read, read.etag)

    found = await here.batches.get(read.id)
    assert (found.etag, len(found.albums), found.cancelling) == ('"2"', 1, False)


async def test_a_change_that_changes_nothing_leaves_the_etag(here: Batching) -> None:
    made = await here.create("Lorem", title="Weekly")

    same = await here.batches.change(made.id, Change(title="Weekly", priority=3), etag=made.etag, actor="ann")
    also = await here.batches.add(made.id, [album("lorem")], etag=made.etag, actor="ann")

    assert {same.etag, also.etag} == {made.etag}


async def test_albums_are_added_behind_the_others_and_acquired(here: Batching) -> None:
    made = await here.asked("Lorem")

    await here.batches.add(made.id, [album("Lorem"), album("Ipsum"), album("ipsum")], etag="", actor="ann")
    await here.pass_()

    assert [one.album.title for one in await here.of(made)] == ["Lorem", "Ipsum"]


async def test_no_album_is_added_to_a_batch_that_has_ended(here: Batching) -> None:
    made = await here.asked("Lorem")
    await here.fails((await here.of(made))[0])
    await here.settle(made)

    with pytest.raises(WrongState):
        await here.batches.add(made.id, [album("Ipsum")], etag="", actor="ann")


async def test_a_batch_has_an_end_of_its_room(here: Batching) -> None:
    made = await here.create(*(f"Album {number}" for number in range(MOST_ALBUMS)))

    with pytest.raises(BatchFull):
        await here.batches.add(made.id, [album("One more")], etag="", actor="ann")


async def test_a_priority_holds_for_its_own_acquisitions_and_for_no_other(here: Batching) -> None:
    before = await here.ask("Lorem")
    made = await here.asked("Lorem", "Ipsum")

    await here.batches.change(made.id, Change(priority=9), etag=made.etag, actor="ann")

    assert [(one.id == before.id, one.priority) for one in await here.of(made)] == [(True, 5), (False, 9)]


async def test_the_priority_of_an_ended_batch_cannot_change_but_its_title_can(here: Batching) -> None:
    made = await here.create("Lorem")
    await here.batches.cancel(made.id, etag="", actor="ann")
    await here.settle(made)

    renamed = await here.batches.change(made.id, Change(title="Never mind"), etag="", actor="ann")

    assert (renamed.title, renamed.state) == ("Never mind", BatchState.CANCELLED)
    with pytest.raises(WrongState):
        await here.batches.change(made.id, Change(priority=9), etag="", actor="ann")


async def test_lists_tell_counts_page_by_page_newest_first(here: Batching) -> None:
    first = await here.asked("Lorem", "Ipsum", title="One")
    await here.fails((await here.of(first))[0])
    await here.pass_(timedelta(seconds=20))
    here.clock.advance(timedelta(hours=1))
    second = await here.create("Dolor", title="Two")

    newest = await here.batches.list(Query(page_size=1))
    oldest = await here.batches.list(Query(page_size=1, page_token=newest.next_token))
    found = await here.batches.list(Query(filter='title = "One" AND state = "DOWNLOADING"'))

    assert [batch.id for batch, _ in (*newest.batches, *oldest.batches)] == [second.id, first.id]
    assert oldest.next_token == ""
    assert [(batch.id, counts) for batch, counts in found.batches] == [
        (first.id, Counts(total=2, completed=0, failed=1))
    ]


async def test_a_batch_that_is_not_there_is_named(here: Batching) -> None:
    with pytest.raises(BatchNotFound) as missing:
        await here.batches.get("bat-1")

    assert missing.value.metadata == {"name": "batches/bat-1"}
