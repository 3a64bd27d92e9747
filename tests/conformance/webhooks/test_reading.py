"""How every inbox is read: pages, filters, searches, tries, and what follows a reader."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from libs.errors import InvalidArgument
from services.webhooks.domain.catalogue import Position, Query
from services.webhooks.domain.event import DeadReason, EventNotFound, Origin, Progress, State
from services.webhooks.domain.lifecycle import Settlement
from services.webhooks.events import search
from tests.support.event_store import EventStore
from tests.support.events import DONE, HOUR, after, claimed, new_event, settle, stored
from tests.support.lidarr_webhooks import NOON

SECOND = timedelta(seconds=1)
RETRY = Settlement(state=State.RETRY, progress=Progress(tries=1, failures=1, error="away"), delay=timedelta())
DEAD = Settlement(
    state=State.DEAD, progress=Progress(tries=2, failures=2, error="gave up"), reason=DeadReason.HANDLER_ERROR
)


async def found(store: EventStore, query_filter: str = "", search: str = "") -> list[str]:
    """All that a list shows, page after page."""
    ids, token = [], None
    while token != "":
        query = Query(filter=query_filter, search=search, order_by="name", page_size=3, page_token=token or "")
        page = await store.page(query)
        ids += [event.id for event in page.events]
        token = page.next_token
    return ids


async def test_pages_follow_each_other_to_the_end(store: EventStore) -> None:
    ids_stored = [await stored(store, str(number)) for number in range(7)]

    assert await found(store) == ids_stored


@pytest.mark.parametrize(
    "order", ["", "receive_time", "receive_time desc", "update_time", "update_time desc", "name desc"]
)
async def test_every_order_shows_every_event_once(store: EventStore, order: str) -> None:
    ids_stored = [await stored(store, str(number)) for number in range(5)]
    first = await store.page(Query(order_by=order, page_size=2))

    rest = await store.page(Query(order_by=order, page_size=9, page_token=first.next_token))

    assert sorted(event.id for event in [*first.events, *rest.events]) == sorted(ids_stored)


@pytest.mark.parametrize("order", ["receive_time", "receive_time desc", "name", "name desc"])
async def test_what_comes_in_meanwhile_neither_hides_nor_repeats_an_event(store: EventStore, order: str) -> None:
    ids_stored = [await stored(store, str(number), received_at=NOON + number * SECOND) for number in range(9)]

    seen, token = [], None
    while token != "":
        page = await store.page(Query(order_by=order, page_size=2, page_token=token or ""))
        seen += [event.id for event in page.events]
        token = page.next_token
        for offset in (-1, 4, 20):
            if len(seen) < 8:
                await stored(store, f"{len(seen)} {offset}", received_at=NOON + offset * SECOND)

    assert len(seen) == len(set(seen))
    assert set(seen) >= set(ids_stored)


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        (Query(filter="body = 1"), "filter"),
        (Query(filter='state = "NO_SUCH"'), "filter"),
        (Query(filter='reason = "NO_SUCH"'), "filter"),
        (Query(filter="state > RETRY"), "filter"),
        (Query(filter="acquisition < a"), "filter"),
        (Query(filter='name = "evt-1"'), "filter"),
        (Query(filter="state ="), "filter"),
        (Query(order_by="body"), "order_by"),
        (Query(page_token="made-up"), "page_token"),
    ],
)
async def test_a_page_that_cannot_be_made_names_the_field(store: EventStore, query: Query, wrong: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await store.page(query)

    assert [violation.field for violation in caught.value.violations] == [wrong]


async def test_a_token_belongs_to_its_search(store: EventStore) -> None:
    for number in range(3):
        await stored(store, str(number))
    page = await store.page(Query(search="Grab", page_size=1))

    with pytest.raises(InvalidArgument):
        await store.page(Query(search="other", page_size=1, page_token=page.next_token))


async def test_a_filter_sees_who_is_processing(store: EventStore) -> None:
    event_id = await stored(store)
    await claimed(store)

    assert await found(store, "state = PROCESSING") == [event_id]
    assert await found(store, "state = RECEIVED") == []


@pytest.mark.parametrize("state", [State.DONE, State.DEAD, State.IGNORED, State.UNMATCHED, State.RETRY, State.RECEIVED])
async def test_each_state_is_found_and_left_out(store: EventStore, state: State) -> None:
    ids = {}
    for ended, settlement in ((State.DONE, DONE), (State.DEAD, DEAD)):
        ids[ended] = (await after(store, settlement, ended)).id
    for other in (State.UNMATCHED, State.RETRY):
        ids[other] = (await after(store, Settlement(state=other, progress=Progress(tries=1), delay=HOUR), other)).id
    ids[State.IGNORED] = await stored(store, "ignored", ignored="disabled")
    ids[State.RECEIVED] = await stored(store, "received")

    assert await found(store, f"state = {state}") == [ids[state]]
    assert await found(store, f"state != {state}") == sorted(set(ids.values()) - {ids[state]})
    assert await found(store, f"NOT state = {state}") == sorted(set(ids.values()) - {ids[state]})


async def test_an_event_is_found_by_its_acquisition(store: EventStore) -> None:
    both = Settlement(state=State.DONE, progress=Progress(tries=1, acquisitions=("acquisitions/a", "acquisitions/b")))
    one = (await after(store, DONE, "one")).id
    two = (await after(store, both, "two")).id

    assert await found(store, 'acquisition = "acquisitions/acq-1"') == [one]
    assert await found(store, 'acquisition = "acquisitions/b"') == [two]
    assert await found(store, 'acquisition != "acquisitions/b"') == [one]


async def test_an_event_is_found_by_what_it_contradicts(store: EventStore) -> None:
    first = await stored(store, body=b"first")
    second = await stored(store, body=b"second")

    assert await found(store, f'conflicting_event = "events/{first}"') == [second]
    assert await found(store, f'conflicting_event != "events/{first}"') == [first]
    assert await found(store, "reason = KEY_CONFLICT") == [second]


async def test_events_are_found_by_name_origin_type_and_source(store: EventStore) -> None:
    first = await stored(store, "a", origin=Origin.BACKFILL)
    second = await stored(store, "b", source="forge", type="push")

    assert await found(store, f'name = "events/{first}"') == [first]
    assert await found(store, "origin = BACKFILL") == [first]
    assert await found(store, "origin = DELIVERY") == [second]
    assert await found(store, "type = pu* AND source = *rge") == [second]


async def test_events_are_found_by_when_they_came(store: EventStore) -> None:
    first = await stored(store, "a")
    second = await stored(store, "b", received_at=NOON + HOUR)
    moment = (NOON + SECOND).isoformat()

    assert await found(store, f'receive_time < "{moment}"') == [first]
    assert await found(store, f'receive_time >= "{moment}"') == [second]


@pytest.mark.parametrize("part", ["Björk", "100%_sure", "é", '"album"', "\\d*"])
async def test_a_search_finds_the_very_bytes(store: EventStore, part: str) -> None:
    hit = await stored(store, "hit", body=f"before {part} after".encode())
    await stored(store, "miss", body=b"100 sure, bjork, \xff, album, 1")

    assert await found(store, search=part) == [hit]


async def test_a_search_keeps_to_the_filter(store: EventStore) -> None:
    await stored(store, "a", body=b"same")
    hit = await stored(store, "b", body=b"same", source="forge")

    assert await found(store, "source = forge", search="same") == [hit]


async def test_a_search_goes_on_from_page_to_page(store: EventStore) -> None:
    bodies = [b"hit" if number % 3 else b"miss" for number in range(20)]
    ids = [await stored(store, str(number), body=body) for number, body in enumerate(bodies)]

    assert await found(store, search="hit") == [
        event_id for event_id, body in zip(ids, bodies, strict=True) if body == b"hit"
    ]


@pytest.mark.parametrize(("limit", "most"), [("MOST_BODIES", 2), ("MOST_BYTES", 9), ("MOST_BYTES", 1)])
async def test_a_search_looks_at_few_bodies_for_each_page(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(search, limit, most)
    for number in range(7):
        await stored(store, f"miss {number}", body=b"miss")
    hit = await stored(store, "hit", body=b"hit!")

    assert await found(store, search="hit") == [hit]


async def test_the_tries_of_an_event_are_told_in_order(store: EventStore) -> None:
    event_id = await stored(store)
    for settlement, seconds in ((RETRY, 0.25), (RETRY, 0), (DEAD, 2)):
        [claim] = await claimed(store)
        await stored(store)
        await settle(store, claim, settlement, seconds=seconds)
    await store.replay(event_id, actor="tester")
    [claim] = await claimed(store)
    await settle(store, claim)

    page = await store.attempts(event_id, page_size=3, page_token="")
    rest = await store.attempts(event_id, page_size=3, page_token=page.next_token)

    tries = [*page.attempts, *rest.attempts]
    assert [(each.number, each.to_state) for each in tries] == [
        (1, State.RETRY),
        (2, State.RETRY),
        (3, State.DEAD),
        (4, State.DONE),
    ]
    assert [each.error for each in tries] == ["away", "away", "gave up", ""]
    assert [each.reason for each in tries] == [None, None, DeadReason.HANDLER_ERROR, None]
    assert [each.duration for each in tries[:3]] == [SECOND / 4, timedelta(), 2 * SECOND]
    assert all(each.actor for each in tries)
    assert rest.next_token == ""


async def test_an_event_that_was_never_tried_has_no_tries(store: EventStore) -> None:
    page = await store.attempts(await stored(store), page_size=0, page_token="")

    assert (page.attempts, page.next_token) == ([], "")


async def test_an_event_that_is_not_there_has_no_tries(store: EventStore) -> None:
    with pytest.raises(EventNotFound):
        await store.attempts("evt-none", page_size=0, page_token="")


async def test_the_tries_of_another_event_have_other_tokens(store: EventStore) -> None:
    ids = []
    for key in ("a", "b"):
        ids.append((await after(store, RETRY, key)).id)
        await claim_and_retry(store)
        await after_done(store)
    page = await store.attempts(ids[0], page_size=1, page_token="")

    with pytest.raises(InvalidArgument):
        await store.attempts(ids[1], page_size=1, page_token=page.next_token)


async def claim_and_retry(store: EventStore) -> None:
    [claim] = await claimed(store)
    await settle(store, claim, RETRY)


async def after_done(store: EventStore) -> None:
    [claim] = await claimed(store)
    await settle(store, claim)


async def test_a_reader_goes_on_behind_its_position(store: EventStore) -> None:
    at: Callable[[int], object] = lambda number: NOON + number // 2 * SECOND  # noqa: E731 - two events a second
    ids = [await stored(store, str(number), received_at=at(number)) for number in range(6)]

    first = await store.oldest("", None, 3)
    position = Position(received_at=first[-1].received_at, event_id=first[-1].id)
    rest = await store.oldest("", position, 9)

    assert [event.id for event in [*first, *rest]] == ids
    assert await store.oldest("source = forge", None, 9) == []


async def test_every_change_has_a_number_of_its_own(store: EventStore) -> None:
    start = await store.last_change()
    first, second = await stored(store, "a"), await stored(store, "b")
    await stored(store, "a")

    changes, after_all = await store.changes(start, "")

    assert [change.event.id for change in changes] == [second, first]
    assert after_all == await store.last_change() > start
    assert await store.changes(after_all, "") == ([], after_all)


async def test_only_changes_that_match_are_told(store: EventStore) -> None:
    start = await store.last_change()
    await stored(store, "a")
    event_id = await stored(store, "b", source="forge")

    changes, _ = await store.changes(start, "source = forge")

    assert [change.event.id for change in changes] == [event_id]


async def test_a_contradiction_is_a_change(store: EventStore) -> None:
    await store.add([new_event(body=b"first")])
    start = await store.last_change()

    await store.add([second := new_event(body=b"second")])

    changes, _ = await store.changes(start, "")
    assert [change.event.id for change in changes] == [second.id]
