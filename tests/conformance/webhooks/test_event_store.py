"""What every event store keeps, on each database: once stored, once claimed, settled by whoever holds the lease."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from libs import ids
from libs.errors import InvalidArgument
from libs.sql.engine import Database
from services.webhooks.domain.catalogue import Query
from services.webhooks.domain.event import Event, EventNotEnded, EventNotFound, NewEvent, Progress, Receipt, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Claimed, Settled
from services.webhooks.events.store import SqlEventStore
from tests.support.event_store import open_event_store
from tests.support.lidarr_webhooks import NOON

LEASE = timedelta(seconds=60)
HOUR = timedelta(hours=1)
DONE = Settlement(state=State.DONE, progress=Progress(tries=1, acquisitions=("acquisitions/acq-1",)))


@pytest.fixture
async def store(database: Database) -> SqlEventStore:
    return await open_event_store(database)


def new_event(key: str = "key", **changes: object) -> NewEvent:
    event = NewEvent(
        id=ids.new("evt"),
        source="lidarr",
        type="Grab",
        key=key,
        headers={"user-agent": "Lidarr"},
        body=b'{"eventType": "Grab"}\n',
        received_at=NOON,
    )
    return replace(event, **changes)  # type: ignore[arg-type] # the changes are the test's own


async def stored(store: SqlEventStore, key: str = "key", **changes: object) -> str:
    [receipt] = await store.add([new_event(key, **changes)])
    return receipt.event_id


async def claimed(store: SqlEventStore, limit: int = 64) -> Sequence[Claimed]:
    return await store.claim(limit, LEASE)


async def settle(store: SqlEventStore, claim: Claimed, settlement: Settlement = DONE) -> bool:
    kept = await store.settle([Settled(claimed=claim, settlement=settlement, seconds=0)])
    return claim.event.id in kept


async def after(store: SqlEventStore, settlement: Settlement) -> Event:
    """An event to which this has happened."""
    event_id = await stored(store)
    [claim] = await claimed(store)
    assert await settle(store, claim, settlement)
    return await store.get(event_id)


async def test_an_event_is_kept_as_it_came(store: SqlEventStore) -> None:
    event = new_event(body=bytes(range(256)))

    assert await store.add([event]) == [Receipt(event_id=event.id, duplicate=False)]

    found = await store.get(event.id)
    assert (found.body, found.body_size, found.headers) == (event.body, 256, event.headers)
    assert (found.source, found.type, found.received_at) == ("lidarr", "Grab", NOON)
    assert (found.state, found.progress, found.duplicates) == (State.RECEIVED, Progress(), 0)


async def test_an_event_that_is_not_there_has_a_name(store: SqlEventStore) -> None:
    with pytest.raises(EventNotFound):
        await store.get("evt-none")


async def test_the_same_key_again_gets_the_first_id_and_is_counted(store: SqlEventStore) -> None:
    first = await stored(store)

    assert await store.add([new_event()]) == [Receipt(event_id=first, duplicate=True)]

    assert (await store.get(first)).duplicates == 1


async def test_the_same_key_twice_in_one_batch_is_one_event(store: SqlEventStore) -> None:
    first, second, other = new_event("a"), new_event("a"), new_event("b")

    assert await store.add([first, second, other]) == [
        Receipt(event_id=first.id, duplicate=False),
        Receipt(event_id=first.id, duplicate=True),
        Receipt(event_id=other.id, duplicate=False),
    ]
    assert (await store.get(first.id)).duplicates == 1


async def test_the_same_key_of_another_source_is_another_event(store: SqlEventStore) -> None:
    first = await stored(store)

    assert await stored(store, source="slskd") != first


async def test_the_same_key_from_all_sides_at_once_is_one_event(store: SqlEventStore) -> None:
    batches = [[new_event("a"), new_event("b")] for _ in range(8)] + [
        [new_event("b"), new_event("a")] for _ in range(8)
    ]

    receipts = [receipt for batch in await asyncio.gather(*map(store.add, batches)) for receipt in batch]

    assert len({receipt.event_id for receipt in receipts}) == 2
    assert sum(not receipt.duplicate for receipt in receipts) == 2


async def test_a_claim_takes_an_event_once(store: SqlEventStore) -> None:
    event_id = await stored(store)

    [claim] = await claimed(store)

    assert (claim.event.id, claim.event.body) == (event_id, new_event().body)
    assert await claimed(store) == []
    assert (await store.get(event_id)).state is State.PROCESSING


async def test_claims_from_all_sides_share_out_the_events(store: SqlEventStore) -> None:
    await store.add([new_event(str(number)) for number in range(40)])

    claims = [claim for batch in await asyncio.gather(*(store.claim(10, LEASE) for _ in range(8))) for claim in batch]

    assert len(claims) == len({claim.event.id for claim in claims}) == 40


async def test_a_claim_takes_no_more_than_it_may(store: SqlEventStore) -> None:
    await store.add([new_event(str(number)) for number in range(10)])

    assert len(await claimed(store, limit=4)) == 4


async def test_an_event_whose_lease_has_run_out_is_claimed_again(store: SqlEventStore) -> None:
    event_id = await stored(store)

    [first] = await store.claim(1, timedelta(milliseconds=-1))
    [second] = await claimed(store)

    assert first.event.id == second.event.id == event_id
    assert (first.crashes, second.crashes) == (0, 1)


async def test_a_claim_that_is_given_back_is_taken_again_at_once(store: SqlEventStore) -> None:
    event_id = await stored(store)

    await store.release(await claimed(store))

    [again] = await claimed(store)
    assert (again.event.id, again.crashes) == (event_id, 0)


async def test_only_the_last_claim_settles(store: SqlEventStore) -> None:
    event_id = await stored(store)
    [lost] = await store.claim(1, timedelta(milliseconds=-1))
    [held] = await claimed(store)

    assert not await settle(store, lost, Settlement(state=State.DEAD, progress=Progress(error="late")))
    assert await settle(store, held)
    assert (await store.get(event_id)).state is State.DONE


async def test_a_lost_lease_takes_no_other_event_with_it(store: SqlEventStore) -> None:
    await stored(store, "a")
    [lost] = await store.claim(1, timedelta(milliseconds=-1))
    await stored(store, "b")
    held = await claimed(store)

    kept = await store.settle([Settled(claimed=each, settlement=DONE, seconds=0) for each in [lost, *held]])

    assert kept == {each.event.id for each in held}


@pytest.mark.parametrize("state", [State.DONE, State.DEAD, State.IGNORED])
async def test_an_event_that_has_ended_is_not_claimed_again(store: SqlEventStore, state: State) -> None:
    event = await after(store, Settlement(state=state, progress=Progress(tries=1, error="why")))

    assert (event.state, event.next_attempt_at) == (state, None)
    assert await claimed(store) == []


@pytest.mark.parametrize("state", [State.RETRY, State.UNMATCHED])
async def test_an_event_waits_until_it_is_due(store: SqlEventStore, state: State) -> None:
    progress = Progress(tries=2, failures=1, unmatched_since=NOON, error="not yet")

    event = await after(store, Settlement(state=state, progress=progress, delay=HOUR))

    assert (event.state, event.progress) == (state, progress)
    assert event.next_attempt_at is not None
    assert await claimed(store) == []


async def test_an_event_that_is_due_again_is_claimed_with_its_progress(store: SqlEventStore) -> None:
    progress = Progress(tries=2, failures=1, error="not yet")
    event = await after(store, Settlement(state=State.RETRY, progress=progress, delay=timedelta()))

    [claim] = await claimed(store)

    assert (claim.event.id, claim.event.progress) == (event.id, progress)


async def test_a_rematch_makes_only_unmatched_events_due(store: SqlEventStore) -> None:
    for state in (State.RETRY, State.UNMATCHED):
        await stored(store, state)
        [claim] = await claimed(store)
        await settle(store, claim, Settlement(state=state, progress=Progress(tries=1), delay=HOUR))

    assert await store.rematch() == 1

    [claim] = await claimed(store)
    assert claim.event.progress.tries == 1
    assert await store.rematch() == 0


async def test_every_change_changes_the_etag(store: SqlEventStore) -> None:
    event_id = await stored(store)
    etags = [(await store.get(event_id)).etag]

    await stored(store)
    etags.append((await store.get(event_id)).etag)
    [claim] = await claimed(store)
    etags.append((await store.get(event_id)).etag)
    await settle(store, claim)
    etags.append((await store.get(event_id)).etag)

    assert len(set(etags)) == 4
    assert all(etag[0] == etag[-1] == '"' for etag in etags)


async def test_a_duplicate_of_an_ended_event_is_not_processed_again(store: SqlEventStore) -> None:
    event = await after(store, DONE)

    await stored(store)

    assert (await store.get(event.id)).state is State.DONE
    assert await claimed(store) == []


@pytest.mark.parametrize("state", [State.DONE, State.DEAD, State.IGNORED])
async def test_a_replay_starts_anew(store: SqlEventStore, state: State) -> None:
    event = await after(store, Settlement(state=state, progress=Progress(tries=3, failures=3, error="why")))

    replayed = await store.replay(event.id, actor="tester")

    assert (replayed.state, replayed.progress) == (State.RECEIVED, Progress())
    [claim] = await claimed(store)
    assert claim.event.id == event.id


async def test_a_replay_of_an_unmatched_event_makes_it_due(store: SqlEventStore) -> None:
    event = await after(store, Settlement(state=State.UNMATCHED, progress=Progress(tries=1), delay=HOUR))

    await store.replay(event.id, actor="tester")

    assert [claim.event.id for claim in await claimed(store)] == [event.id]


async def test_an_event_that_is_on_its_way_cannot_be_replayed(store: SqlEventStore) -> None:
    event_id = await stored(store)

    with pytest.raises(EventNotEnded):
        await store.replay(event_id, actor="tester")
    [claim] = await claimed(store)
    with pytest.raises(EventNotEnded):
        await store.replay(event_id, actor="tester")
    await settle(store, claim, Settlement(state=State.RETRY, progress=Progress(tries=1), delay=HOUR))
    with pytest.raises(EventNotEnded):
        await store.replay(event_id, actor="tester")


async def test_a_replay_of_nothing_has_a_name(store: SqlEventStore) -> None:
    with pytest.raises(EventNotFound):
        await store.replay("evt-none", actor="tester")


async def test_the_backlog_counts_what_has_not_ended(store: SqlEventStore) -> None:
    assert await store.backlog() == (0, timedelta())
    await after(store, DONE)
    await stored(store, "b")

    waiting, age = await store.backlog()

    assert waiting == 1
    assert timedelta() <= age < timedelta(minutes=1)


async def test_pages_follow_each_other_to_the_end(store: SqlEventStore) -> None:
    ids_stored = [await stored(store, str(number)) for number in range(7)]
    found, token, pages = [], "", 0

    while pages == 0 or token:
        page = await store.page(Query(order_by="name", page_size=3, page_token=token))
        found += [event.id for event in page.events]
        token, pages = page.next_token, pages + 1

    assert (found, pages) == (sorted(ids_stored), 3)


@pytest.mark.parametrize(
    "order", ["", "receive_time", "receive_time desc", "update_time", "update_time desc", "name desc"]
)
async def test_every_order_shows_every_event_once(store: SqlEventStore, order: str) -> None:
    ids_stored = [await stored(store, str(number)) for number in range(5)]
    first = await store.page(Query(order_by=order, page_size=2))

    rest = await store.page(Query(order_by=order, page_size=9, page_token=first.next_token))

    assert sorted(event.id for event in [*first.events, *rest.events]) == sorted(ids_stored)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        (Query(filter="body = 1"), "filter"),
        (Query(filter='state = "NO_SUCH"'), "filter"),
        (Query(filter="state ="), "filter"),
        (Query(order_by="body"), "order_by"),
        (Query(page_token="made-up"), "page_token"),
    ],
)
async def test_a_page_that_cannot_be_made_names_the_field(store: SqlEventStore, query: Query, wrong: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await store.page(query)

    assert [violation.field for violation in caught.value.violations] == [wrong]


async def test_a_filter_sees_who_is_processing(store: SqlEventStore) -> None:
    event_id = await stored(store)
    await claimed(store)

    assert [event.id for event in (await store.page(Query(filter="state = PROCESSING"))).events] == [event_id]
    assert (await store.page(Query(filter="state = RECEIVED"))).events == []
