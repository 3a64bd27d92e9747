"""Following the wish for new data keys, while those who are told of it come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from libs.crypto import Keyring
from libs.crypto.following import LOOK, KeyFollower, KeyMetrics
from libs.crypto.resealing import Progress
from libs.errors import Unavailable
from libs.sql.engine import open_database
from libs.telemetry.metrics import Metrics
from tests.support import sealed_records as records
from tests.support.sealed_records import Replica, opened
from tests.support.waiting import eventually

SOON = timedelta(milliseconds=10)


class Wisher:
    """Whoever wants new keys and is told how it stands; may be away."""

    def __init__(self) -> None:
        self.away = False
        self.missed = 0
        self.told: list[Progress] = []
        self._wishes = asyncio.Queue[int]()

    def wish(self, epoch: int) -> None:
        """Wants keys of this epoch."""
        self._wishes.put_nowait(epoch)

    async def epochs(self) -> AsyncIterator[int]:
        """The wishes."""
        while True:
            yield await self._wishes.get()

    async def tell(self, progress: Progress) -> None:
        """Hears how it stands."""
        if self.away:
            self.missed += 1
            raise Unavailable("away")
        self.told.append(progress)

    async def knows(self, epoch: int, *, done: int) -> None:
        """Returns once it was told that so many records are sealed with a key of this epoch, and none with another."""

        async def known() -> bool:
            return any((each.epoch, each.done, each.total) == (epoch, done, done) for each in self.told)

        await eventually(known, every=0.01)


@pytest.fixture
async def replica(tmp_path: Path) -> AsyncIterator[Replica]:
    """One with a secret: two records."""
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/test.db", schema="test") as database:
        await records.make_tables(database)
        replica = await opened(database)
        await replica.put("owner", "one", "text of one")
        yield replica


@asynccontextmanager
async def followed(
    replica: Replica, *, metrics: Metrics | None = None, look: timedelta = LOOK
) -> AsyncIterator[Wisher]:
    """A follower at work."""
    wisher = Wisher()
    follower = KeyFollower(
        replica.resealing,
        epochs=wisher.epochs,
        tell=wisher.tell,
        metrics=KeyMetrics(metrics or Metrics()),
        look=look,
        patience=SOON,
    )
    tasks = [asyncio.ensure_future(loop()) for loop in follower.loops]
    try:
        yield wisher
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def test_a_wish_is_followed_and_told(replica: Replica) -> None:
    async with followed(replica) as wisher:
        await wisher.knows(0, done=2)

        wisher.wish(1)

        await wisher.knows(1, done=2)


async def test_of_many_wishes_the_newest_counts(replica: Replica) -> None:
    async with followed(replica) as wisher:
        for epoch in (3, 1, 7, 2):
            wisher.wish(epoch)

        await wisher.knows(7, done=2)


async def test_who_is_told_may_be_away(replica: Replica) -> None:
    async with followed(replica) as wisher:
        wisher.away = True
        wisher.wish(1)

        async def rotated() -> bool:
            return wisher.missed > 1 and (await replica.resealing.progress()).epoch == 1

        await eventually(rotated, every=0.01)
        wisher.away = False
        await wisher.knows(1, done=2)


async def test_what_a_replica_of_the_release_before_seals_is_found(replica: Replica) -> None:
    async with followed(replica, look=SOON) as wisher:
        await wisher.knows(0, done=2)

        await records.fill(replica.database, Keyring.from_secret(records.ROOTS.current), {"late": "text"})

        await wisher.knows(0, done=3)


async def test_it_is_measured(replica: Replica) -> None:
    metrics = Metrics()
    async with followed(replica, metrics=metrics) as wisher:
        wisher.wish(4)
        await wisher.knows(4, done=2)

    measured = metrics.registry.get_sample_value
    assert measured("lockgroove_data_key_epoch") == 4
    by_key = {key: measured("lockgroove_sealed_records", {"key": key}) for key in ("current", "old", "unreadable")}
    assert by_key == {"current": 2, "old": 0, "unreadable": 0}
