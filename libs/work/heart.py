"""The heartbeat of a process: one statement renews all its leases, and a deadline holds when none gets through."""

import asyncio
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from libs.work.job import Held
from libs.work.run import Run, Stop
from libs.work.store import SqlWorkStore

log = get_logger()

Runs = dict[tuple[str, int], Run]


class Heart:
    """Renews the leases of `runs` every sixth of the TTL, and cancels what was not renewed within 0.9 of it.

    `lock` is held while jobs are claimed: a lease that a heartbeat finds is then either a known run or nobody's.
    """

    def __init__(
        self, store: SqlWorkStore, runs: Runs, *, owner: str, ttl: timedelta, clock: Clock, lock: asyncio.Lock
    ) -> None:
        self._store = store
        self._runs = runs
        self._owner = owner
        self._ttl = ttl
        self._clock = clock
        self._lock = lock
        self._due = clock.monotonic()

    async def run(self) -> None:
        """Beats until it is cancelled. A request that hangs does not keep the deadline from being kept."""
        beating: asyncio.Task[None] | None = None
        try:
            while True:
                self.expire()
                if self._runs and self._clock.monotonic() >= self._due and (beating is None or beating.done()):
                    beating = asyncio.create_task(self._try_to_beat())
                await asyncio.sleep(self._ttl.total_seconds() / 30)
        finally:
            if beating is not None:
                beating.cancel()
                await asyncio.wait([beating])

    def expire(self) -> None:
        """Cancels each step whose lease was not confirmed in time."""
        now = self._clock.monotonic()
        for run in list(self._runs.values()):
            if now >= run.deadline(self._ttl):
                run.cancel(Stop.LEASE_LOST)

    async def beat(self) -> None:
        """One heartbeat. Raises what the database raises: the next pass tries again."""
        async with self._lock:
            asked = self._clock.monotonic()
            held = {(found.id, found.fence): found for found in await self._store.heartbeat(self._owner, self._ttl)}
            for run in list(self._runs.values()):
                self._compare(run, held.pop(run.key, None), asked)
            for nobodys in held.values():
                await self._store.abandon(self._owner, nobodys)
        self._due = asked + self._ttl.total_seconds() / 6

    async def _try_to_beat(self) -> None:
        try:
            await self.beat()
        except AppError as error:
            log.warning("work.heartbeat_failed", reason=error.code_reason, message=error.message)
        except Exception:  # a heart that stops unnoticed is worse than any error
            log.exception("work.heartbeat_failed")

    def _compare(self, run: Run, held: Held | None, asked: float) -> None:
        if held is None:
            if not run.ending:
                run.cancel(Stop.LEASE_LOST)
            return
        run.confirmed = asked
        if run.claim.cancel_requested:
            return
        if held.cancel_requested:
            run.cancel(Stop.CANCEL_REQUESTED)
        elif held.paused:
            run.cancel(Stop.PAUSED)
