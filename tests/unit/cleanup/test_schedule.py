"""When the daily run is due: at 02:00 local time, once a date, also on the days on which clocks change."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.cleanup.schedule import date_of, is_due, moment_of, next_of, time_of

BERLIN = ZoneInfo("Europe/Berlin")
FORWARD, BACK = date(2026, 3, 29), date(2026, 10, 25)  # 02:00 is skipped; 02:00 is there twice
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo"])
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@pytest.fixture
def machine_in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is in Berlin."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def berlin(day: date, hour: int, minute: int = 0, *, fold: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN, fold=fold).astimezone(UTC)


def test_a_run_belongs_to_the_latest_two_oclock() -> None:
    day = date(2026, 6, 15)

    assert date_of(berlin(day, 1, 59), BERLIN) == date(2026, 6, 14)
    assert date_of(berlin(day, 2), BERLIN) == day
    assert date_of(berlin(day, 23, 59), BERLIN) == day


def test_where_there_is_no_two_oclock_the_hour_that_follows_counts() -> None:
    assert moment_of(FORWARD, BERLIN) == berlin(FORWARD, 3)
    assert date_of(berlin(FORWARD, 1, 59), BERLIN) == FORWARD - timedelta(days=1)
    assert date_of(berlin(FORWARD, 3), BERLIN) == FORWARD


def test_of_two_the_first_counts_and_the_second_is_not_due() -> None:
    first, second = berlin(BACK, 2), berlin(BACK, 2, fold=1)
    assert second - first == timedelta(hours=1)

    assert is_due(first, BACK - timedelta(days=1), BERLIN)
    assert not is_due(second, BACK, BERLIN)


def test_a_run_that_was_missed_is_due_at_once() -> None:
    assert is_due(berlin(date(2026, 6, 15), 14), date(2026, 6, 2), BERLIN)
    assert is_due(berlin(date(2026, 6, 15), 14), None, BERLIN)


def test_a_run_made_further_east_is_not_made_again() -> None:
    now = datetime(2026, 6, 15, 3, tzinfo=UTC)
    west, east = ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")
    assert date_of(east_date := now, east) == date_of(now, west) + timedelta(days=1)

    assert not is_due(now, date_of(east_date, east), west)


def test_a_run_made_by_a_clock_that_was_wrong_does_not_stop_later_ones() -> None:
    assert is_due(berlin(date(2026, 6, 15), 14), date(2031, 1, 1), BERLIN)


def test_another_time_of_day_moves_the_run_and_makes_no_second_one() -> None:
    day, later = date(2026, 6, 15), time_of("22:30")

    assert not is_due(berlin(day, 22, 29), day - timedelta(days=1), BERLIN, later)
    assert is_due(berlin(day, 22, 30), day - timedelta(days=1), BERLIN, later)
    assert not is_due(berlin(day, 23), day, BERLIN, later)


def test_the_next_run_is_due_on_the_day_after_the_last_or_now() -> None:
    day, now = date(2026, 6, 15), berlin(date(2026, 6, 15), 14)

    assert next_of(now, day, BERLIN) == berlin(day + timedelta(days=1), 2)
    assert next_of(now, day - timedelta(days=4), BERLIN) == next_of(now, None, BERLIN) == now


def test_the_zone_of_the_machine_counts_where_none_is_named(machine_in_berlin: None) -> None:
    for day in (FORWARD, BACK, date(2026, 6, 15)):
        assert moment_of(day, None) == moment_of(day, BERLIN)
        for hours in range(24):
            now = berlin(day, 0) + timedelta(hours=hours)
            assert date_of(now, None) == date_of(now, BERLIN)


@settings(deadline=None)
@given(now=MOMENTS, zone=ZONES)
def test_whoever_looks_every_hour_runs_once_a_date(now: datetime, zone: str) -> None:
    last, runs = date_of(now, ZoneInfo(zone)), list[date]()

    for hour in range(24 * 4):
        moment = now + timedelta(hours=hour)
        if is_due(moment, last, ZoneInfo(zone)):
            last = date_of(moment, ZoneInfo(zone))
            runs.append(last)

    assert runs == sorted(set(runs))
    assert 3 <= len(runs) <= 5
