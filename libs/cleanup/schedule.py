"""When the daily run is due.

A run belongs to the latest moment of that time of day, local, that has passed. On the night when clocks go forward and
skip it, it is due at the moment that follows; on the night when they go back it is due at the first of two. A run that
was missed is made up, once, at the next start.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo

USUAL = time(2)
_A_DAY = timedelta(days=1)


def time_of(text: str) -> time:
    """A time of day as the settings have it: `02:00`; the usual one where nothing is set."""
    return time.fromisoformat(text) if text else USUAL


def date_of(now: datetime, zone: tzinfo | None, at: time = USUAL) -> date:
    """The date of the run that `now` belongs to: of the latest `at` o'clock in `zone` (None: this machine's)."""
    today = now.astimezone(zone).date()
    return today if now >= moment_of(today, zone, at) else today - _A_DAY


def moment_of(day: date, zone: tzinfo | None, at: time = USUAL) -> datetime:
    """That time on that day, in UTC; where clocks skip it the moment that follows, of two the first."""
    local = datetime.combine(day, at, tzinfo=zone)
    first, second = local.astimezone(UTC), local.replace(fold=1).astimezone(UTC)
    skipped = first.astimezone(zone).time() != at  # then zones differ in which of the two is which (PEP 495)
    return max(first, second) if skipped else first


def is_due(now: datetime, last: date | None, zone: tzinfo | None, at: time = USUAL) -> bool:
    """Whether the run of this date is still to be made.

    One that ran for tomorrow ran east of here; one for later than that ran by a clock that was wrong.
    """
    day = date_of(now, zone, at)
    return last is None or last < day or last > day + _A_DAY


def next_of(now: datetime, last: date | None, zone: tzinfo | None, at: time = USUAL) -> datetime:
    """When the next run is due: `now` where one is."""
    if last is None or is_due(now, last, zone, at):
        return now
    return moment_of(last + _A_DAY, zone, at)
