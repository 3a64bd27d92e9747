"""What every event store keeps, on each database: once stored, once claimed, settled by whoever holds the lease."""

import asyncio
from datetime import timedelta

import pytest

from services.webhooks.domain.event import DeadReason, EventNotEnded, EventNotFound, Progress, Receipt, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.domain.processing import Settled
from tests.conformance.webhooks.conftest import Inbox
from tests.support.event_store import EventStore
from tests.support.events import DONE, HOUR, LEASE, after, claimed, new_event, settle, stored
from tests.support.lidarr_webhooks import NOON

DEAD = Settlement(
    state=State.DEAD, progress=Progress(tries=3, failures=3, error="why"), reason=DeadReason.HANDLER_ERROR
)


async def test_an_event_is_kept_as_it_came(store: EventStore) -> None:
    event = new_event(body=bytes(range(256)))

    assert await store.add([event]) == [Receipt(event_id=event.id, duplicate=False)]

    found = await store.get(event.id)
    assert (found.body, found.body_size, found.headers) == (event.body, 256, event.headers)
    assert (found.source, found.type, found.received_at) == ("lidarr", "Grab", NOON)
    assert (found.state, found.progress, found.duplicates) == (State.RECEIVED, Progress(), 0)


async def test_an_event_that_is_not_there_has_a_name(store: EventStore) -> None:
    with pytest.raises(EventNotFound):
        await store.get("evt-none")


async def test_the_same_key_again_gets_the_first_id_and_is_counted(store: EventStore) -> None:
    first = await stored(store)

    assert await store.add([new_event()]) == [Receipt(event_id=first, duplicate=True)]

    assert (await store.get(first)).duplicates == 1


async def test_the_same_key_twice_in_one_batch_is_one_event(store: EventStore) -> None:
    first, second, other = new_event("a"), new_event("a"), new_event("b")

    assert await store.add([first, second, other]) == [
        Receipt(event_id=first.id, duplicate=False),
        Receipt(event_id=first.id, duplicate=True),
        Receipt(event_id=other.id, duplicate=False),
    ]
    assert (await store.get(first.id)).duplicates == 1


async def test_the_same_key_of_another_source_is_another_event(store: EventStore) -> None:
    first = await stored(store)

    assert await stored(store, source="slskd") != first


async def test_the_same_key_from_all_sides_at_once_is_one_event(store: EventStore) -> None:
    batches = [[new_event("a"), new_event("b")] for _ in range(8)] + [
        [new_event("b"), new_event("a")] for _ in range(8)
    ]

    receipts = [receipt for batch in await asyncio.gather(*map(store.add, batches)) for receipt in batch]

    assert len({receipt.event_id for receipt in receipts}) == 2
    assert sum(not receipt.duplicate for receipt in receipts) == 2


async def test_a_claim_takes_an_event_once(store: EventStore) -> None:
    event_id = await stored(store)

    [claim] = await claimed(store)

    assert (claim.event.id, claim.event.body) == (event_id, new_event().body)
    assert await claimed(store) == []
    assert (await store.get(event_id)).state is State.PROCESSING


async def test_claims_from_all_sides_share_out_the_events(store: EventStore) -> None:
    await store.add([new_event(str(number)) for number in range(40)])

    claims = [claim for batch in await asyncio.gather(*(store.claim(10, LEASE) for _ in range(8))) for claim in batch]

    assert len(claims) == len({claim.event.id for claim in claims}) == 40


async def test_a_claim_takes_no_more_than_it_may(store: EventStore) -> None:
    await store.add([new_event(str(number)) for number in range(10)])

    assert len(await claimed(store, limit=4)) == 4


async def test_an_event_whose_lease_has_run_out_is_claimed_again(store: EventStore) -> None:
    event_id = await stored(store)

    [first] = await store.claim(1, timedelta(milliseconds=-1))
    [second] = await claimed(store)

    assert first.event.id == second.event.id == event_id
    assert (first.crashes, second.crashes) == (0, 1)


async def test_a_claim_that_is_given_back_is_taken_again_at_once(store: EventStore) -> None:
    event_id = await stored(store)

    await store.release(await claimed(store))

    [again] = await claimed(store)
    assert (again.event.id, again.crashes) == (event_id, 0)


async def test_a_lease_that_runs_out_frees_the_event(inbox: Inbox) -> None:
    event_id = await stored(inbox.store)
    await claimed(inbox.store)

    await inbox.pass_time(2 * LEASE)

    assert (await inbox.store.get(event_id)).state is State.RECEIVED
    [again] = await claimed(inbox.store)
    assert (again.event.id, again.crashes) == (event_id, 1)


async def test_events_with_one_order_key_are_handled_one_after_the_other(store: EventStore) -> None:
    first = await stored(store, "a", order_key="album 1")
    second = await stored(store, "b", order_key="album 1")
    other = await stored(store, "c", order_key="album 2")

    earlier = await claimed(store)
    assert [claim.event.id for claim in earlier] == [first, other]
    for claim in earlier:
        await settle(store, claim)

    assert [claim.event.id for claim in await claimed(store)] == [second]


async def test_events_of_one_batch_keep_their_order(store: EventStore) -> None:
    events = [new_event(str(number), order_key="album 1") for number in range(5)]
    await store.add(events)

    handled = []
    while claims := await claimed(store):
        handled += [claim.event.id for claim in claims]
        await store.settle([Settled(claimed=claim, settlement=DONE, seconds=0) for claim in claims])

    assert handled == [event.id for event in events]


async def test_an_event_that_will_be_tried_again_keeps_later_ones_waiting(inbox: Inbox) -> None:
    retry = Settlement(state=State.RETRY, progress=Progress(tries=1, failures=1), delay=HOUR)
    first = await after(inbox.store, retry, order_key="album 1")
    second = await stored(inbox.store, "b", order_key="album 1")

    assert await claimed(inbox.store) == []

    await inbox.pass_time(2 * HOUR)
    [claim] = await claimed(inbox.store)
    assert claim.event.id == first.id
    await settle(inbox.store, claim)
    assert [claim.event.id for claim in await claimed(inbox.store)] == [second]


async def test_an_unmatched_event_lets_later_ones_pass(store: EventStore) -> None:
    await after(store, Settlement(state=State.UNMATCHED, progress=Progress(tries=1), delay=HOUR), order_key="album 1")
    second = await stored(store, "b", order_key="album 1")

    assert [claim.event.id for claim in await claimed(store)] == [second]


async def test_only_the_last_claim_settles(store: EventStore) -> None:
    event_id = await stored(store)
    [lost] = await store.claim(1, timedelta(milliseconds=-1))
    [held] = await claimed(store)

    assert not await settle(store, lost, Settlement(state=State.DEAD, progress=Progress(error="late")))
    assert await settle(store, held)
    assert (await store.get(event_id)).state is State.DONE


async def test_a_lost_lease_takes_no_other_event_with_it(store: EventStore) -> None:
    await stored(store, "a")
    [lost] = await store.claim(1, timedelta(milliseconds=-1))
    await stored(store, "b")
    held = await claimed(store)

    kept = await store.settle([Settled(claimed=each, settlement=DONE, seconds=0) for each in [lost, *held]])

    assert kept == {each.event.id for each in held}


@pytest.mark.parametrize("state", [State.DONE, State.DEAD, State.IGNORED])
async def test_an_event_that_has_ended_is_not_claimed_again(store: EventStore, state: State) -> None:
    event = await after(store, Settlement(state=state, progress=Progress(tries=1, error="why")))

    assert (event.state, event.next_attempt_at) == (state, None)
    assert await claimed(store) == []


@pytest.mark.parametrize("state", [State.RETRY, State.UNMATCHED])
async def test_an_event_waits_until_it_is_due(store: EventStore, state: State) -> None:
    progress = Progress(tries=2, failures=1, unmatched_since=NOON, error="not yet")

    event = await after(store, Settlement(state=state, progress=progress, delay=HOUR))

    assert (event.state, event.progress) == (state, progress)
    assert event.next_attempt_at is not None
    assert await claimed(store) == []


async def test_an_event_that_is_due_again_is_claimed_with_its_progress(store: EventStore) -> None:
    progress = Progress(tries=2, failures=1, error="not yet")
    event = await after(store, Settlement(state=State.RETRY, progress=progress, delay=timedelta()))

    [claim] = await claimed(store)

    assert (claim.event.id, claim.event.progress) == (event.id, progress)


async def test_a_rematch_makes_only_unmatched_events_due(store: EventStore) -> None:
    for state in (State.RETRY, State.UNMATCHED):
        await stored(store, state)
        [claim] = await claimed(store)
        await settle(store, claim, Settlement(state=state, progress=Progress(tries=1), delay=HOUR))

    assert await store.rematch() == 1

    [claim] = await claimed(store)
    assert claim.event.progress.tries == 1
    assert await store.rematch() == 0


async def test_a_rematch_takes_no_more_than_those_that_come_meanwhile_can_wait_for(store: EventStore) -> None:
    await store.add([new_event(str(number)) for number in range(501)])
    claims = await claimed(store, 1000)
    nobody = Settlement(state=State.UNMATCHED, progress=Progress(tries=1), delay=HOUR)
    await store.settle([Settled(claimed=claim, settlement=nobody, seconds=0) for claim in claims])

    assert [await store.rematch(), await store.rematch()] == [500, 0]

    oldest = min(claim.event.id for claim in claims)
    assert oldest not in [claim.event.id for claim in await claimed(store, 1000)]


async def test_every_change_changes_the_etag(store: EventStore) -> None:
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


async def test_a_duplicate_of_an_ended_event_is_not_processed_again(store: EventStore) -> None:
    event = await after(store, DONE)

    await stored(store)

    assert (await store.get(event.id)).state is State.DONE
    assert await claimed(store) == []


async def test_a_dead_event_says_why(store: EventStore) -> None:
    event = await after(store, DEAD)

    assert (event.state, event.reason, event.progress.error) == (State.DEAD, DeadReason.HANDLER_ERROR, "why")


@pytest.mark.parametrize("settlement", [DONE, DEAD, Settlement(state=State.IGNORED, progress=Progress(tries=1))])
async def test_a_replay_starts_anew(store: EventStore, settlement: Settlement) -> None:
    event = await after(store, settlement)

    replayed = await store.replay(event.id, actor="tester")

    assert (replayed.state, replayed.progress, replayed.reason) == (State.RECEIVED, Progress(again=True), None)
    [claim] = await claimed(store)
    assert claim.event.id == event.id


async def test_a_replay_of_an_unmatched_event_makes_it_due(store: EventStore) -> None:
    event = await after(store, Settlement(state=State.UNMATCHED, progress=Progress(tries=1), delay=HOUR))

    await store.replay(event.id, actor="tester")

    assert [claim.event.id for claim in await claimed(store)] == [event.id]


async def test_an_event_takes_effect_again_after_a_replay(store: EventStore) -> None:
    event = await after(store, DONE)

    await store.replay(event.id, actor="tester")
    [claim] = await claimed(store)

    assert await settle(store, claim)
    assert (await store.get(event.id)).progress == DONE.progress


async def test_who_lost_the_lease_before_a_replay_settles_nothing(inbox: Inbox) -> None:
    unmatched = Settlement(state=State.UNMATCHED, progress=Progress(tries=1), delay=timedelta())
    event = await after(inbox.store, unmatched)
    [late] = await claimed(inbox.store)
    await inbox.pass_time(2 * LEASE)

    await inbox.store.replay(event.id, actor="tester")

    assert not await settle(inbox.store, late)
    assert (await inbox.store.get(event.id)).state is State.RECEIVED


async def test_an_event_that_is_on_its_way_cannot_be_replayed(store: EventStore) -> None:
    event_id = await stored(store)

    with pytest.raises(EventNotEnded):
        await store.replay(event_id, actor="tester")
    [claim] = await claimed(store)
    with pytest.raises(EventNotEnded):
        await store.replay(event_id, actor="tester")
    await settle(store, claim, Settlement(state=State.RETRY, progress=Progress(tries=1), delay=HOUR))
    with pytest.raises(EventNotEnded):
        await store.replay(event_id, actor="tester")


async def test_a_replay_of_nothing_has_a_name(store: EventStore) -> None:
    with pytest.raises(EventNotFound):
        await store.replay("evt-none", actor="tester")


async def test_the_backlog_counts_what_has_not_ended(store: EventStore) -> None:
    assert await store.backlog() == (0, timedelta())
    await after(store, DONE)
    await stored(store, "b")

    waiting, age = await store.backlog()

    assert waiting == 1
    assert timedelta() <= age < timedelta(minutes=1)
