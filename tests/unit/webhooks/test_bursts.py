"""Senders come before their events: what a burst does to the worker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import cast

import pytest

from services.webhooks import worker as module
from services.webhooks.domain.processing import Processing
from services.webhooks.worker import BURST, Worker

AGES = timedelta(hours=1)


class Passes:
    """In place of the processing: counts its passes, of which the next ones find so many events."""

    def __init__(self) -> None:
        self.count = 0
        self.found: list[int] = []

    async def run_once(self) -> int:
        self.count += 1
        return self.found.pop() if self.found else 0


@pytest.fixture
def passes() -> Passes:
    return Passes()


@pytest.fixture
async def worker(passes: Passes, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    """It runs, and has had its first pass."""
    monkeypatch.setattr(module, "QUIET", AGES)
    worker = Worker(cast(Processing, passes), handled=lambda: None, poll=AGES)
    running = asyncio.create_task(worker.run())
    await turns()
    yield worker
    running.cancel()


async def turns() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_an_event_alone_is_handled_at_once(worker: Worker, passes: Passes) -> None:
    worker.wake(1)
    await turns()

    assert passes.count == 2


async def test_a_burst_is_stored_before_it_is_handled(
    worker: Worker, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", AGES)

    worker.wake(BURST)
    await turns()

    assert passes.count == 1


async def test_a_burst_without_end_is_handled_all_the_same(
    worker: Worker, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", timedelta(0))

    worker.wake(BURST)
    await turns()

    assert passes.count == 2


async def test_passes_follow_each_other_until_one_finds_nothing(worker: Worker, passes: Passes) -> None:
    passes.found = [1, 1]

    worker.wake(1)
    await turns()

    assert passes.count == 4
