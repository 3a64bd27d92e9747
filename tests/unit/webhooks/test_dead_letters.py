"""What errors of dead letters have in common, and how their groups are gathered."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs import ids
from services.webhooks.dead_letters.groups import Counted, gathered
from services.webhooks.domain.dead_letters import normalised

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("", ""),
        ("internal error", "internal error"),
        ("Lidarr answered 503", "Lidarr answered {n}"),
        ("took 1.25 s of 10", "took {n} s of {n}"),
        ("album 4f0c5b0e-2f57-4d1c-9d0a-6c0c8f5d3b21 is unknown", "album {id} is unknown"),
        ("download 0F1E2D3C4B5A69788796A5B4C3D2E1F001122334 failed", "download {id} failed"),
        ("the body is not JSON: line 3 column 7", "the body is not JSON: line {n} column {n}"),
        ("a-word-with-dashes stays", "a-word-with-dashes stays"),
    ],
)
def test_ids_and_numbers_leave_an_error(error: str, expected: str) -> None:
    assert normalised(error) == expected


def test_ids_of_ours_leave_an_error() -> None:
    error = f"no {ids.new('acq')} here, events/{ids.new('evt')} is gone"

    assert normalised(error) == "no {id} here, events/{id} is gone"


@given(st.text(max_size=1000))
def test_what_is_normalised_stays_as_it_is(error: str) -> None:
    once = normalised(error)

    assert normalised(once) == once
    assert len(once) <= 200


@given(st.lists(st.tuples(st.sampled_from(["took 1 s", "took 2 s", "no"]), st.integers(1, 9)), max_size=30))
def test_groups_lose_no_dead_letter(texts: list[tuple[str, int]]) -> None:
    counted = [
        Counted(text=("lidarr", "Grab", "REJECTED", error), count=count, first=NOON, last=NOON)
        for error, count in texts
    ]

    groups = gathered(counted)

    assert sum(group.count for group in groups) == sum(count for _, count in texts)
    assert len(groups) == len({normalised(error) for error, _ in texts})
    assert groups == sorted(groups, key=lambda group: -group.count)


def test_a_group_reaches_from_its_first_to_its_last() -> None:
    hours = [timedelta(hours=number) for number in range(3)]
    counted = [
        Counted(text=("lidarr", "Grab", "REJECTED", f"took {hour} s"), count=1, first=NOON + hour, last=NOON + 2 * hour)
        for hour in hours
    ]

    [group] = gathered(counted)

    assert (group.first, group.last) == (NOON, NOON + timedelta(hours=4))
