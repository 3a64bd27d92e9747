"""What every inbox does with deliveries that contradict, that nobody acts on, and that tell what was told before."""

import asyncio
import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest

from services.webhooks.domain.event import DeadReason, NewEvent, Origin, Progress, Receipt, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Settled
from tests.support.event_store import EventStore
from tests.support.events import DONE, HOUR, claimed, new_event, settle, stored
from tests.support.lidarr_webhooks import NOON

MINUTE = timedelta(minutes=1)
DEAD = Settlement(state=State.DEAD, progress=DONE.progress, reason=DeadReason.HANDLER_ERROR)
SILENT = Settlement(state=State.DONE, progress=Progress(tries=1, error="already found"))
UNMATCHED = Settlement(state=State.UNMATCHED, progress=DONE.progress, delay=HOUR)


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


async def test_an_event_knows_the_hash_of_its_body(store: EventStore) -> None:
    event_id = await stored(store, body=b"abc")

    assert (await store.get(event_id)).body_sha256 == sha256(b"abc")


async def test_a_delivery_that_contradicts_the_first_is_kept_and_dead(store: EventStore) -> None:
    first = await stored(store, body=b"first")

    second = await stored(store, body=b"second")

    event = await store.get(second)
    assert (event.state, event.reason, event.conflicting_event) == (State.DEAD, DeadReason.KEY_CONFLICT, first)
    assert (event.body, event.progress.error) == (
        b"second",
        f"events/{first} has the same delivery id and another body",
    )
    assert [claim.event.id for claim in await claimed(store)] == [first]


async def test_the_same_contradiction_again_is_a_duplicate_of_itself(store: EventStore) -> None:
    first = await stored(store, body=b"first")
    second = await stored(store, body=b"second")

    assert await store.add([new_event(body=b"second")]) == [Receipt(event_id=second, duplicate=True)]
    assert await store.add([new_event(body=b"first")]) == [Receipt(event_id=first, duplicate=True)]

    assert [(await store.get(event_id)).duplicates for event_id in (first, second)] == [1, 1]


async def test_every_contradiction_is_kept(store: EventStore) -> None:
    first = await stored(store, body=b"first")

    others = [await stored(store, body=body) for body in (b"second", b"third")]

    assert [(await store.get(other)).conflicting_event for other in others] == [first, first]


async def test_contradictions_within_one_batch_are_kept(store: EventStore) -> None:
    first, second, again, other = (
        new_event(body=b"first"),
        new_event(body=b"second"),
        new_event(body=b"second"),
        new_event("other"),
    )

    assert await store.add([first, second, again, other]) == [
        Receipt(event_id=first.id, duplicate=False),
        Receipt(event_id=second.id, duplicate=False),
        Receipt(event_id=second.id, duplicate=True),
        Receipt(event_id=other.id, duplicate=False),
    ]
    assert (await store.get(second.id)).conflicting_event == first.id


async def test_contradictions_from_all_sides_at_once_are_one_event_each(store: EventStore) -> None:
    batches = [[new_event(body=body), new_event("other")] for body in [b"a", b"b", b"c"] * 4]

    receipts = [receipt for batch in await asyncio.gather(*map(store.add, batches)) for receipt in batch]

    ids = {receipt.event_id for receipt in receipts}
    events = [await store.get(event_id) for event_id in ids]
    assert len(ids) == sum(not receipt.duplicate for receipt in receipts) == 4
    assert sorted(event.state for event in events) == [State.DEAD] * 2 + [State.RECEIVED] * 2
    assert sum(event.duplicates for event in events) == len(receipts) - len(ids)


async def test_a_contradiction_can_be_replayed(store: EventStore) -> None:
    await stored(store, body=b"first")
    second = await stored(store, body=b"second")

    event = await store.replay(second, actor="tester")

    assert (event.state, event.reason) == (State.RECEIVED, None)
    assert second in [claim.event.id for claim in await claimed(store)]


@pytest.mark.parametrize("origins", [(Origin.DELIVERY, Origin.BACKFILL), (Origin.BACKFILL, Origin.DELIVERY)])
async def test_what_we_found_ourselves_contradicts_nothing(store: EventStore, origins: tuple[Origin, Origin]) -> None:
    first = await stored(store, body=b"first", origin=origins[0])

    again = new_event(body=b"second", origin=origins[1])

    assert await store.add([again]) == [Receipt(event_id=first, duplicate=True)]
    assert (await store.get(first)).origin is origins[0]


async def test_an_event_of_a_disabled_source_is_kept_and_never_handled(store: EventStore) -> None:
    event_id = await stored(store, ignored="the source is disabled", facts=("grabbed:1",))

    event = await store.get(event_id)
    assert (event.state, event.progress.error) == (State.IGNORED, "the source is disabled")
    assert await claimed(store) == []
    assert await store.told_since(["grabbed:1"], NOON) == frozenset()


async def test_an_event_that_was_ignored_can_be_replayed(store: EventStore) -> None:
    event_id = await stored(store, ignored="the source is disabled")

    await store.replay(event_id, actor="tester")

    assert [claim.event.id for claim in await claimed(store)] == [event_id]


async def test_facts_are_known_from_the_moment_of_their_delivery_on(store: EventStore) -> None:
    await stored(store, "a", facts=("grabbed:1", "grabbed:2", "grabbed:1"))
    await stored(store, "b", facts=("grabbed:3",), received_at=NOON - MINUTE)

    asked = ["grabbed:1", "grabbed:2", "grabbed:3", "grabbed:4"]

    assert await store.told_since(asked, NOON) == {"grabbed:1", "grabbed:2"}
    assert await store.told_since(asked, NOON - MINUTE) == {"grabbed:1", "grabbed:2", "grabbed:3"}
    assert await store.told_since([], NOON) == frozenset()


async def test_many_facts_can_be_asked_for_at_once(store: EventStore) -> None:
    await stored(store, facts=("grabbed:1999",))

    assert await store.told_since([f"grabbed:{number}" for number in range(2000)], NOON) == {"grabbed:1999"}


def delivery(key: str, *facts: str, ago: timedelta = timedelta()) -> NewEvent:
    return new_event(key, facts=facts, received_at=NOON - ago, order_key="album 1")


def backfill(key: str, *facts: str, ago: timedelta = timedelta()) -> NewEvent:
    return replace(delivery(key, *facts, ago=ago), origin=Origin.BACKFILL)


async def is_told(store: EventStore, earlier: NewEvent, settlement: Settlement, later: NewEvent) -> bool:
    """Whether an event counts as told that is claimed after another one was settled."""
    await store.add([earlier])
    [first] = await claimed(store)
    assert await settle(store, first, settlement)
    await store.add([later])
    [second] = await claimed(store)
    return second.event.told


@pytest.mark.parametrize("settlement", [DONE, UNMATCHED])
async def test_a_delivery_of_what_was_found_before_is_told(store: EventStore, settlement: Settlement) -> None:
    assert await is_told(store, backfill("a", "f1", "f2", ago=MINUTE), settlement, delivery("b", "f1", "f2"))


async def test_what_was_found_while_its_delivery_came_is_told(store: EventStore) -> None:
    assert await is_told(store, delivery("a", "f1", ago=MINUTE), DONE, backfill("b", "f1"))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        (backfill("a", "f1", ago=MINUTE), delivery("b", "f1", "f2")),  # not every fact
        (backfill("a", "f1", ago=2 * HOUR), delivery("b", "f1")),  # long ago
        (delivery("a", "f1", ago=11 * MINUTE), backfill("b", "f1")),  # another time
        (delivery("a", "f1", ago=MINUTE), delivery("b", "f1")),  # in the same way
        (backfill("a", ago=MINUTE), delivery("b")),  # no facts at all
    ],
)
async def test_anything_else_is_not_told(store: EventStore, earlier: NewEvent, later: NewEvent) -> None:
    assert not await is_told(store, earlier, DONE, later)


async def test_what_a_dead_event_should_have_told_is_not_told(store: EventStore) -> None:
    assert not await is_told(store, backfill("a", "f1", ago=MINUTE), DEAD, delivery("b", "f1"))


async def test_of_two_that_cross_each_other_the_first_tells(store: EventStore) -> None:
    first, second = delivery("a", "f1"), backfill("b", "f1")
    await store.add([first, second])

    told = []
    while claims := await claimed(store):
        told += [(claim.event.id, claim.event.told) for claim in claims]
        await store.settle([Settled(claimed=claim, settlement=DONE, seconds=0) for claim in claims])

    assert told == [(first.id, False), (second.id, True)]


async def test_one_that_left_it_to_another_has_told_nothing(store: EventStore) -> None:
    found, delivered = backfill("a", "f1", ago=MINUTE), delivery("b", "f1")
    await store.add([found])
    [first] = await claimed(store)
    await settle(store, first, UNMATCHED)
    await store.add([delivered])
    [second] = await claimed(store)
    await settle(store, second, SILENT)

    await store.rematch()

    [again] = await claimed(store)
    assert (again.event.id, again.event.told) == (found.id, False)


async def test_of_two_that_nobody_waits_for_the_first_goes_on(store: EventStore) -> None:
    first, second = delivery("a", "f1"), backfill("b", "f1")
    for new in (first, second):
        await store.add([new])
        [claim] = await claimed(store)
        await settle(store, claim, UNMATCHED)

    await store.rematch()

    told = []
    for _ in (first, second):
        [claim] = await claimed(store)
        told.append((claim.event.id, claim.event.told))
        await settle(store, claim, UNMATCHED)
    assert told == [(first.id, False), (second.id, True)]


async def test_what_a_person_replays_is_told_again(store: EventStore) -> None:
    await store.add([backfill("a", "f1", ago=MINUTE)])
    [first] = await claimed(store)
    await settle(store, first)
    event_id = (await store.add([delivery("b", "f1")]))[0].event_id
    [second] = await claimed(store)
    await settle(store, second, SILENT)

    await store.replay(event_id, actor="tester")

    for _ in ("its first try", "the next one"):
        [claim] = await claimed(store)
        assert (claim.event.id, claim.event.told) == (event_id, False)
        await settle(store, claim, Settlement(state=State.RETRY, progress=claim.event.progress, delay=timedelta()))


async def test_what_others_found_at_that_time_tells_nothing_of_this(store: EventStore) -> None:
    await store.add([backfill("a", "f1", ago=2 * HOUR), delivery("c", "f2", ago=2 * HOUR)])
    while claims := await claimed(store):
        await store.settle([Settled(claimed=claim, settlement=DONE, seconds=0) for claim in claims])

    await store.add([delivery("b", "f1")])

    [claim] = await claimed(store)
    assert not claim.event.told
