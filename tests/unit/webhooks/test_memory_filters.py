"""The filters of the twin in memory mean what the real ones mean."""

import pytest

from services.webhooks.domain.event import Event, State
from tests.support.lidarr_webhooks import NOON
from tests.support.memory_filters import matching

EVENT = Event(
    id="evt-1",
    source="lidarr",
    type="Grab",
    state=State.DONE,
    headers={},
    body=b"",
    body_size=0,
    received_at=NOON,
    updated_at=NOON,
    version=1,
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", True),
        ("source = lidarr AND state = DONE", True),
        ("source = lidarr AND (state = DEAD OR type = G*)", True),
        ("source = other OR NOT (state = DONE AND type = Grab)", False),
        ("NOT source = other AND -state = DEAD", True),
        ("type = *ra* AND type != Gr*", False),
    ],
)
def test_conditions_are_joined_as_written(query: str, expected: bool) -> None:
    assert matching(query)(EVENT) is expected
