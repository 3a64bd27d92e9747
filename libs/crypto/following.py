"""Following the wish for new data keys: a new key where one is wanted, all secrets sealed with it, and a word about it.

Three loops that do not wait for each other: one hears what is wanted, one seals, and one tells. So whoever is told may
be away for as long as he likes.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta

from libs.crypto.resealing import Progress, Resealing
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from libs.telemetry.metrics import Metrics

log = get_logger()

LOOK = timedelta(minutes=1)  # a replica of the release before may have sealed something without a data key
PATIENCE = timedelta(seconds=5)  # after a failure
SPACING = timedelta(seconds=0.5)  # between two words about it

Epochs = Callable[[], AsyncIterator[int]]
Tell = Callable[[Progress], Awaitable[None]]


class KeyMetrics:
    """What is measured of the keys of a service."""

    def __init__(self, metrics: Metrics) -> None:
        self._epoch = metrics.gauge("data_key_epoch", "The generation of the data key that secrets are sealed with.")
        self._records = metrics.gauge(
            "sealed_records", "Secrets in the database, by the data key that seals them.", ["key"]
        )

    def told(self, progress: Progress) -> None:
        """It stands like this."""
        self._epoch.set(progress.epoch)
        self._records.labels("current").set(progress.done)
        self._records.labels("unreadable").set(progress.unreadable)
        self._records.labels("old").set(progress.total - progress.done - progress.unreadable)


class KeyFollower:
    """Keeps the data keys of one database as new as somebody wants them. `epochs` are the wishes, the newest first."""

    def __init__(
        self,
        resealing: Resealing,
        *,
        epochs: Epochs,
        tell: Tell,
        metrics: KeyMetrics,
        look: timedelta = LOOK,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._resealing = resealing
        self._epochs = epochs
        self._tell = tell
        self._metrics = metrics
        self._look = look
        self._patience = patience
        self._wanted = 0
        self._called = asyncio.Event()
        self._news = asyncio.Event()
        self._progress: Progress | None = None
        self._settled = ""  # the key that sealed everything when we were last through

    @property
    def loops(self) -> Sequence[Callable[[], Awaitable[None]]]:
        """What runs beside the server."""
        return [self.listen, self.run, self.report]

    async def listen(self) -> None:
        """Hears what is wanted; never returns."""
        async for epoch in self._epochs():
            if epoch > self._wanted:
                self._wanted = epoch
                self._called.set()

    async def run(self) -> None:
        """Seals anew whenever another epoch is wanted, and looks once in a while."""
        while True:
            self._called.clear()
            try:
                await self.run_once()
                pause = self._look
            except AppError as error:
                log.warning("secrets.not_resealed", reason=error.code_reason)
                pause = self._patience
            await _within(pause, self._called)

    async def run_once(self) -> None:
        """One pass: when it returns, everything that can be opened is sealed with a key of the epoch that is wanted."""
        self._take(progress := await self._resealing.progress(self._unreadable))
        if behind := progress.epoch < self._wanted:
            await self._resealing.renew(self._wanted)
        if behind or not progress.is_current or progress.key_id != self._settled:
            progress = await self._resealing.run(self._take)
            self._settled = "" if progress.unreadable else progress.key_id

    async def report(self) -> None:
        """Tells how it stands whenever that has changed, and again where it was not heard."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                await self.report_once()
                pause = SPACING
            except AppError as error:
                log.debug("keyring.not_reported", reason=error.code_reason)
                self._news.set()
                pause = self._patience
            await asyncio.sleep(pause.total_seconds())

    async def report_once(self) -> None:
        """Tells it once."""
        if self._progress is not None:
            await self._tell(self._progress)

    @property
    def _unreadable(self) -> int:
        return 0 if self._progress is None else self._progress.unreadable

    def _take(self, progress: Progress) -> None:
        self._progress = progress
        self._metrics.told(progress)
        self._news.set()


async def _within(pause: timedelta, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(pause.total_seconds()):
            await event.wait()
    except TimeoutError:
        return
