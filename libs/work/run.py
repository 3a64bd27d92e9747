"""One claim that this process works on, and why it was stopped.

Cancelling a task says only "stop". Whether the job is paused or to be cancelled, the process shuts down or the lease is
lost decides what is written afterwards, so the reason stands beside the task.
"""

import asyncio
from datetime import timedelta
from enum import IntEnum

from libs.work.context import Context
from libs.work.job import Claim

DEADLINE = 0.9  # of the lease: the rest is for the step to notice


class Stop(IntEnum):
    """Why a step was stopped; a later reason replaces a weaker one."""

    PAUSED = 1
    CANCEL_REQUESTED = 2
    SHUTTING_DOWN = 3
    LEASE_LOST = 4


class Run:
    """A claim and its task. `confirmed` is when the last successful request for its lease began (monotonic)."""

    task: asyncio.Task[None]

    def __init__(self, claim: Claim, context: Context, *, confirmed: float) -> None:
        self.claim = claim
        self.context = context
        self.confirmed = confirmed
        self.stop: Stop | None = None
        self.ending = False  # its result is being stored
        self.outcome = "given_back"  # as it is counted, until it is known

    @property
    def key(self) -> tuple[str, int]:
        """Which claim it is."""
        return self.claim.id, self.claim.fence

    def deadline(self, ttl: timedelta) -> float:
        """When it must have stopped (monotonic): from then on another worker may hold the job."""
        return self.confirmed + DEADLINE * ttl.total_seconds()

    def cancel(self, why: Stop) -> None:
        """Stops the step. A result that is being stored is not interrupted, unless the lease is lost."""
        if self.stop is not None and why <= self.stop:
            return
        self.stop = why
        if not self.ending or why is Stop.LEASE_LOST:
            self.task.cancel()
