"""Workers that run while a test looks on, and a step that a test holds in its hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from libs.telemetry import correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.tracing import entered
from libs.work.context import Context
from libs.work.job import Claim, Done, Outcome
from libs.work.worker import Worker
from tests.support.jobs import Jobs


@asynccontextmanager
async def running(worker: Worker) -> AsyncIterator[None]:
    task = asyncio.create_task(worker.run())
    try:
        yield
    finally:
        worker.stop()
        await task


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


async def until_state(jobs: Jobs, state: str, job_id: str = "job-1") -> None:
    async def reached() -> bool:
        return bool((await jobs.row(job_id))["state"] == state)

    await until(reached)


@contextmanager
def request(request_id: str, trace: Trace) -> Iterator[None]:
    """A call of somebody's, of which whatever happens inside is a part."""
    token = correlation.request_id.set(request_id)
    try:
        with entered(trace):
            yield
    finally:
        correlation.request_id.reset(token)


class Steps:
    """A step that blocks until it is let go, and tells what became of it."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.fences: list[int] = []
        self.stopped = 0

    async def __call__(self, claim: Claim, context: Context) -> Outcome:
        self.fences.append(claim.fence)
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return Done(state="COMPLETED")


async def finished(claim: Claim, context: Context) -> Outcome:
    return Done(state="COMPLETED")
