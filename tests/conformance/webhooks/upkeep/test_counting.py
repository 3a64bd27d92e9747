"""What the numbers are made of: what contradicts is known as such, and the backlog is counted state by state."""

from datetime import timedelta

from services.webhooks.domain.event import State
from services.webhooks.upkeep.backlog import SqlBacklog
from tests.conformance.webhooks.upkeep.conftest import Inbox, new_event


async def test_a_delivery_that_contradicts_counts_as_a_conflict_once(inbox: Inbox) -> None:
    [first] = await inbox.store.add([new_event(key="k", body=b"{}")])

    [second, again] = await inbox.store.add([new_event(key="k", body=b"[]") for _ in range(2)])

    assert [each.conflict for each in (first, second, again)] == [False, True, False]


async def test_the_backlog_is_counted_by_state_with_the_age_of_its_oldest(inbox: Inbox) -> None:
    for state in (State.DONE, State.DEAD, State.RETRY, State.UNMATCHED):
        await inbox.receive_in(state, ago=timedelta(hours=1))
    await inbox.receive_in(State.RETRY, ago=timedelta(hours=2))

    waiting = await SqlBacklog(inbox.database).by_state()

    assert {state: count for state, (count, _) in waiting.items()} == {State.RETRY: 2, State.UNMATCHED: 1}
    assert timedelta(hours=2) <= waiting[State.RETRY][1] < timedelta(hours=3)
