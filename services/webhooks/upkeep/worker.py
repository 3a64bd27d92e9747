"""The loop of the reconciler: one replica at a time has its lease, and a watermark says when it was done last."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from libs.clock import Clock
from libs.errors import AppError
from libs.leases.errors import LeaseHeld
from libs.sql.types import from_millis, millis
from libs.telemetry.logger import get_logger
from services.webhooks.domain.reconciling import Finding, Reconciling

log = get_logger()

LOOK = timedelta(seconds=5)
HOURLY = timedelta(hours=1)
CLOCK_JUMP = timedelta(seconds=30)
LEASE = timedelta(seconds=30)
RECONCILER = "reconciler"

Position = Mapping[str, Any]
Alone = Callable[..., AbstractAsyncContextManager[Any]]
"""`alone(name, wait=False)`: holds a lease while its body runs; raises LeaseHeld."""


class Watermarks(Protocol):
    """When something was done last."""

    async def read(self, name: str) -> tuple[Position | None, datetime]:
        """A watermark, None before there is one, and the time by the database's clock."""
        ...

    async def swap(self, name: str, before: Position | None, after: Position) -> bool:
        """Sets a watermark unless it is no longer what it was before; returns whether it did."""
        ...


class DoneLog(Protocol):
    """Who shows when something was done last."""

    def __call__(self, at: datetime, *, here: bool) -> None:
        """It was done at that time, here or by another replica."""
        ...


class Reconciler:
    """Reconciles at the start, at every interval, and at once after a gap.

    A gap is a database that was away, or a clock that jumped: of the machine, or because it slept.
    """

    def __init__(
        self,
        reconciling: Reconciling,
        watermarks: Watermarks,
        alone: Alone,
        *,
        interval: Callable[[], timedelta],
        clock: Clock,
        holder: str,
        done: DoneLog,
    ) -> None:
        self._reconciling = reconciling
        self._watermarks = watermarks
        self._alone = alone
        self._interval = interval
        self._clock = clock
        self._holder = holder
        self._done = done
        self._gap = True
        self._offset = self._measure()

    async def run(self) -> None:
        """Looks again and again whether a pass is due."""
        while True:
            await self.run_once()
            await asyncio.sleep(LOOK.total_seconds())

    async def run_once(self) -> bool:
        """Makes a pass if one is due, and says whether it did. While another replica makes one, there is none here."""
        self._notice_a_jump()
        try:
            if not await self._due():
                return False
            await self.reconcile(wait=False)
        except LeaseHeld:
            return False
        except AppError as error:
            self._gap = True
            log.warning("inbox.not_reconciled", reason=error.code_reason, message=error.message)
            return False
        return True

    async def preview(self) -> list[Finding]:
        """What a pass would do now; raises AppError."""
        return await self._reconciling.preview()

    async def reconcile(self, *, wait: bool = True) -> list[Finding]:
        """A pass, alone in the whole suite; raises AppError, LeaseHeld among them unless told to wait."""
        async with self._alone(RECONCILER, wait=wait):
            self._gap = False
            try:
                findings = await self._reconciling.run_once()
                await self._pass_made()
            except BaseException:
                self._gap = True
                raise
        return findings

    async def _due(self) -> bool:
        position, now = await self._watermarks.read(RECONCILER)
        if position is None:
            return True
        last = from_millis(position["at"])
        self._done(last, here=position["by"] == self._holder)
        return self._gap or not timedelta() <= now - last < self._interval()

    async def _pass_made(self) -> None:
        before, now = await self._watermarks.read(RECONCILER)
        await self._watermarks.swap(RECONCILER, before, {"at": millis(now), "by": self._holder})
        self._done(now, here=True)

    def _notice_a_jump(self) -> None:
        offset = self._measure()
        if abs(offset - self._offset) > CLOCK_JUMP:
            log.info("clock.jumped", seconds=(offset - self._offset).total_seconds())
            self._gap = True
        self._offset = offset

    def _measure(self) -> timedelta:
        """How far the time of day is ahead of the clock that never jumps."""
        return timedelta(seconds=self._clock.now().timestamp() - self._clock.monotonic())
