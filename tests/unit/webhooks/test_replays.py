"""How fast replays go, and what may be asked of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgroove.webhooks.v1 import replays_pb2 as pb

from libs.errors import InvalidArgument
from services.webhooks.domain.replays import BATCH, DEFAULT_RATE, Selection, batch_size, pace
from services.webhooks.replays import convert

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(st.integers(1, 1000), st.floats(0, 3))
def test_batches_at_their_pace_never_exceed_the_rate(rate: int, seconds: float) -> None:
    size = batch_size(rate)

    elapsed = timedelta(seconds=seconds)
    together = elapsed + pace(size, rate, elapsed)

    assert 1 <= size <= BATCH
    assert size / rate <= together.total_seconds() + 1e-6


def test_a_batch_that_took_nothing_is_followed_at_once() -> None:
    assert pace(0, 50, timedelta(seconds=1)) == timedelta()


@pytest.mark.parametrize("selection", [Selection(), Selection(filter="  ", force=True)])
def test_a_replay_of_everything_must_be_asked_for(selection: Selection) -> None:
    with pytest.raises(InvalidArgument, match="filter"):
        selection.check()


def test_times_must_leave_room_between_them() -> None:
    with pytest.raises(InvalidArgument, match="end_time"):
        Selection(since=NOON, until=NOON).check()


@pytest.mark.parametrize(
    "selection", [Selection(filter="x"), Selection(events=("evt-1",)), Selection(since=NOON), Selection(until=NOON)]
)
def test_any_one_of_them_selects(selection: Selection) -> None:
    selection.check()


def test_a_request_is_read_as_it_is_meant() -> None:
    request = pb.StartReplayRequest(events=["events/evt-1", "events/evt-2", "events/evt-1"], request_id="A-B")
    request.start_time.FromDatetime(NOON)

    new = convert.new_replay_from_pb(request, new_id="rpl-1", actor="ann")

    assert new.selection == Selection(events=("evt-1", "evt-2"), since=NOON)
    assert (new.rate, new.request_id, new.actor) == (DEFAULT_RATE, "a-b", "ann")
