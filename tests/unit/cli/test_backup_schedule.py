"""When `lockgroove up` makes a backup."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from deploy.cli.running.schedule import Schedule, backup_schedule, time_of
from libs.backup.folder import name_for
from libs.errors import InvalidArgument

THREE = datetime(2026, 5, 31, 3, tzinfo=UTC)


class Nights:
    """A schedule, its clock, and how often it made a backup."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now, self.works, self.tries = folder, THREE, True, 0
        self.schedule = Schedule(at=time(3), folder=folder, make=self._make, now=lambda: self.now)

    async def at(self, moment: datetime) -> int:
        """How many backups it tried to make at this moment."""
        self.now, before = moment, self.tries
        await self.schedule.run_once()
        return self.tries - before

    async def _make(self) -> bool:
        self.tries += 1
        if self.works:
            name_for(self.folder, self.now, verified=True).write_bytes(b"LOCKGROOVE BACKUP 1\n")
        return self.works


@pytest.fixture
def nights(tmp_path: Path) -> Nights:
    return Nights(tmp_path)


async def test_one_a_day_is_made(nights: Nights) -> None:
    moments = [THREE + timedelta(hours=hours) for hours in (0, 1, 23.9, 24, 30)]

    assert [await nights.at(moment) for moment in moments] == [1, 0, 0, 1, 0]


async def test_a_missed_one_is_caught_up(nights: Nights) -> None:
    await nights.at(THREE)

    assert await nights.at(THREE + timedelta(days=3, hours=5)) == 1


async def test_one_that_failed_is_tried_again_after_an_hour(nights: Nights) -> None:
    nights.works = False
    moments = [THREE + timedelta(minutes=minutes) for minutes in (0, 1, 59, 60)]

    assert [await nights.at(moment) for moment in moments] == [1, 0, 0, 1]


async def test_what_another_suite_put_into_the_folder_counts(nights: Nights) -> None:
    name_for(nights.folder, THREE, verified=True).write_bytes(b"LOCKGROOVE BACKUP 1\n")

    assert await nights.at(THREE + timedelta(minutes=1)) == 0


async def test_one_from_a_clock_that_was_ahead_keeps_nobody_from_making_one(nights: Nights) -> None:
    name_for(nights.folder, THREE + timedelta(days=900), verified=True).write_bytes(b"LOCKGROOVE BACKUP 1\n")

    assert await nights.at(THREE) == 1


@pytest.mark.parametrize("told", ["off", "", "OFF"])
def test_nobody_has_to_want_backups(told: str) -> None:
    assert backup_schedule({"LOCKGROOVE_BACKUP_TIME": told}, print) is None


def test_a_time_that_is_none_names_its_variable() -> None:
    with pytest.raises(InvalidArgument, match="LOCKGROOVE_BACKUP_TIME"):
        time_of({"LOCKGROOVE_BACKUP_TIME": "25:00"})
