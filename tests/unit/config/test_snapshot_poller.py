"""The loop that takes snapshots goes on whatever is wrong with the database."""

import asyncio
from datetime import timedelta

import pytest

from libs.crypto.safe import WrongRootKey
from libs.errors import AppError
from libs.sql.errors import DatabaseUnavailable, StorageFull
from services.config.domain.snapshot import Snapshot, Snapshots
from services.config.domain.values import InForce
from services.config.worker import SnapshotPoller
from tests.support.waiting import eventually


class Faulty(Snapshots):
    """Snapshots whose revision grows with each look, except while there is a fault."""

    def __init__(self) -> None:
        self.fault: AppError | None = None
        self.looks = 0

    async def revision(self) -> int:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        return self.looks

    async def take(self) -> Snapshot:
        return Snapshot(settings=InForce(version=self.looks, values={}), keys=())


@pytest.mark.parametrize(
    "fault", [DatabaseUnavailable("it is away"), StorageFull("it is full"), WrongRootKey("not ours")]
)
async def test_a_fault_of_the_database_leaves_the_snapshot_in_force_and_the_loop_going(fault: AppError) -> None:
    snapshots = Faulty()
    poller = SnapshotPoller(snapshots, asyncio.Event(), pause=timedelta(milliseconds=1))
    await poller.run_once()
    before, snapshots.fault = poller.current, fault
    loop = asyncio.create_task(poller.run())

    await eventually(lambda: asyncio.sleep(0, loop.done() or snapshots.looks > 2))
    assert poller.current is before
    snapshots.fault = None

    await eventually(lambda: asyncio.sleep(0, loop.done() or poller.current is not before))
    assert not loop.done()
    loop.cancel()
