"""The feed of snapshots: looks for changes, those of other replicas too, and hands them to whoever follows."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.domain.snapshot import Snapshot, Snapshots

_PAUSE = timedelta(milliseconds=250)  # how late a change of another replica may be noticed

log = get_logger(__name__)


class SnapshotPoller:
    """Holds the snapshot in force. `changed` is set by whoever changes settings in this process.

    `told` is called with each new one.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        changed: asyncio.Event,
        *,
        told: Callable[[Snapshot], None] = lambda _: None,
        pause: timedelta = _PAUSE,
    ) -> None:
        self._snapshots = snapshots
        self._changed = changed
        self._told = told
        self._pause = pause
        self._news = asyncio.Condition()
        self._current: Snapshot | None = None
        self._stale = False

    @property
    def current(self) -> Snapshot:
        """The snapshot in force; there is one from the first pass on."""
        assert self._current is not None
        return self._current

    async def run(self) -> None:
        """Makes a pass at every change, and once in a while for the changes of other replicas."""
        while True:
            try:
                await self.run_once()
                self._stale = False
            except AppError as error:  # what is in force stays in force
                self._note_stale(error)
            await self._until_change()

    async def run_once(self) -> None:
        """One pass: takes a new snapshot if there is one."""
        self._changed.clear()
        if self._current is None or await self._snapshots.revision() != self._current.revision:
            await self._publish(await self._snapshots.take())

    async def follow(self) -> AsyncIterator[Snapshot]:
        """The snapshot in force, then each that replaces it; a slow follower skips to the newest."""
        sent: Snapshot | None = None
        while True:
            yield (sent := await self._after(sent))

    async def _after(self, sent: Snapshot | None) -> Snapshot:
        async with self._news:
            await self._news.wait_for(lambda: self._current is not sent)
        return self.current

    async def _publish(self, snapshot: Snapshot) -> None:
        async with self._news:
            self._current = snapshot
            self._news.notify_all()
        self._told(snapshot)
        log.info("snapshot.taken", revision=snapshot.revision, keys=len(snapshot.keys))

    def _note_stale(self, error: AppError) -> None:
        """Says it once an outage, not four times a second."""
        if not self._stale:
            log.warning("snapshot.stale", reason=error.code_reason)
        self._stale = True

    async def _until_change(self) -> None:
        try:
            async with asyncio.timeout(self._pause.total_seconds()):
                await self._changed.wait()
        except TimeoutError:
            return
