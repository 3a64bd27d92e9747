"""The log of refused deliveries: kept in the background, so that no flood of them slows a delivery down."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import timedelta

from libs.errors import AppError, InvalidArgument, NotFound, Unauthenticated
from libs.telemetry.logger import get_logger
from services.webhooks.domain.delivery import Delivery, of_stranger, printable
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.inbox import IngestLog
from services.webhooks.domain.source import Source, UnknownSource
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.sources.rejections import Rejection, SqlRejections

log = get_logger()

BATCH = 200
MOST_WAITING = 1_000
PAUSE = timedelta(seconds=1)

_LONGEST_CAUSE = 200
_THEIR_FAULT = Unauthenticated, NotFound, InvalidArgument


class RejectionLog:
    """Passes on what happens to deliveries, and keeps those that were refused, unless too many wait to be kept."""

    def __init__(
        self,
        then: IngestLog,
        rejections: SqlRejections,
        *,
        new_id: Callable[[], str],
        pause: timedelta = PAUSE,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._then = then
        self._rejections = rejections
        self._new_id = new_id
        self._pause = pause
        self._most_waiting = most_waiting
        self._waiting: deque[Rejection] = deque()
        self._woken = asyncio.Event()
        self._dropped = 0

    def stored(self, source: Source, event: NewEvent, receipt: Receipt, seconds: float) -> None:
        """A delivery was stored."""
        self._then.stored(source, event, receipt, seconds)

    def refused(self, delivery: Delivery, error: AppError) -> None:
        """A delivery was refused: counted always, kept when its sender was wrong and there is room."""
        self._then.refused(delivery, error)
        if not isinstance(error, _THEIR_FAULT):
            return
        if len(self._waiting) >= self._most_waiting:
            self._dropped += 1
            return
        self._waiting.append(_rejection(delivery, error, self._new_id()))
        self._woken.set()

    async def run(self) -> None:
        """Keeps what waits, a batch at a time, never more often than once in a pause."""
        while True:
            await self._woken.wait()
            await self.run_once()
            await asyncio.sleep(self._pause.total_seconds())

    async def run_once(self) -> int:
        """Keeps one batch; returns how many there were. While the database is away they are dropped."""
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if not self._waiting:
            self._woken.clear()
        if self._dropped:
            log.warning("rejections.dropped", rejections=self._dropped)
            self._dropped = 0
        try:
            if batch:
                await self._rejections.add(batch)
        except AppError as error:
            log.warning("rejections.not_kept", rejections=len(batch), reason=error.code_reason)
            return 0
        return len(batch)


def _rejection(delivery: Delivery, error: AppError, rejection_id: str) -> Rejection:
    return Rejection(
        id=rejection_id,
        source=delivery.source,
        reason=error.code_reason,
        cause=printable(_cause(error))[:_LONGEST_CAUSE],
        remote_address=printable(delivery.remote_address),
        body_size=len(delivery.body),
        headers=of_stranger(delivery.headers),
        received_at=delivery.received_at,
    )


def _cause(error: AppError) -> str:
    if isinstance(error, UnknownSource):
        concealed = isinstance(error.__cause__, CredentialRefused)
        return "wrong secret in the address" if concealed else "no such source at this address"
    return error.cause if isinstance(error, CredentialRefused) else error.message
