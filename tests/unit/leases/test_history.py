"""The checker of histories itself: it lets good ones pass and reports each kind of bad one."""

from dataclasses import replace

from tests.support.lease_history import Act, History

TTL = 10.0


def took(process: str, fence: int, at: float) -> Act:
    return Act(process=process, kind="acquired", fence=fence, asked=at, answered=at + 0.1, ttl=TTL)


def gave_back(process: str, fence: int, at: float) -> Act:
    return Act(process=process, kind="releasing", fence=fence, asked=at, answered=at + 0.1)


def renewed(process: str, fence: int, at: float) -> Act:
    return replace(took(process, fence, at), kind="renewed")


GOOD = [
    took("one", 1, 0.0),
    renewed("one", 1, 5.0),
    gave_back("one", 1, 6.0),
    took("two", 2, 6.05),  # may get it before the other hears that it is free
    took("three", 3, 20.0),  # the time of the one before is over
]


def test_a_good_history_passes() -> None:
    assert History(GOOD, writes=[1, 1, 2, 3, 3]).violations() == []


def test_two_holders_at_once_are_reported() -> None:
    assert History([took("one", 1, 0.0), took("two", 2, 8.0)]).violations() == [
        "two and one both held it, under 2 and 1"
    ]


def test_a_long_hold_is_compared_with_all_that_follow() -> None:
    long = replace(took("one", 1, 0.0), ttl=100.0)
    short = [took("two", 2, 95.0), gave_back("two", 2, 96.0)]

    assert History([long, *short]).violations() == []
    assert len(History([replace(long, ttl=200.0), *short, took("three", 3, 97.0)]).violations()) == 2


def test_an_extended_hold_lasts_until_the_end_of_its_extension() -> None:
    assert History([took("one", 1, 0.0), renewed("one", 1, 8.0), took("two", 2, 12.0)]).violations() != []


def test_a_renewal_that_came_too_late_is_no_hold() -> None:
    late = replace(renewed("one", 1, 8.0), answered=9.5)

    assert History([took("one", 1, 0.0), late, took("two", 2, 10.5)]).violations() == []


def test_who_asks_for_a_shorter_time_believes_in_no_more() -> None:
    asking = Act(process="one", kind="renewing", fence=1, asked=1.0, answered=1.0, ttl=2.0)

    assert History([took("one", 1, 0.0), asking, took("two", 2, 3.0)]).violations() == []
    assert History([took("one", 1, 0.0), asking, took("two", 2, 2.0)]).violations() != []


def test_a_fence_that_goes_back_is_reported() -> None:
    assert History([took("one", 2, 0.0), took("two", 1, 20.0)]).violations() == ["two got 1 after one had 2"]


def test_a_fence_that_was_given_out_twice_is_reported() -> None:
    assert "the fence 1 was given out twice" in History([took("one", 1, 0.0), took("two", 1, 20.0)]).violations()


def test_a_write_under_an_older_fence_is_reported() -> None:
    assert History(GOOD, writes=[1, 2, 1]).violations() == ["a write under 1 came after one under 2"]
