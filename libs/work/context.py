"""What a step may ask while it runs."""

from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import AppError
from libs.work.errors import QueuePaused
from libs.work.job import Claim, Signal
from libs.work.store import SqlWorkStore


class Context:
    """One claim's view of the store: its inbox, its switch and its guard."""

    def __init__(self, store: SqlWorkStore, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self.read_through = 0

    async def signals(self) -> list[Signal]:
        """The unread signals, oldest first; those returned count as read when the step ends, unless it fails."""
        signals = await self._store.signals(self._claim)
        self.read_through = max([self.read_through, *(signal.seq for signal in signals)])
        return signals

    async def ensure_running(self) -> None:
        """Goes before each outside action: raises QueuePaused when the queue or the job is, or nobody can tell."""
        try:
            pauses = await self._store.pauses(self._claim)
        except AppError as error:
            raise QueuePaused(f"it is unknown whether {self._claim.queue} may run") from error
        for name, reason in pauses:
            raise QueuePaused(f"{name} is paused: {reason}")

    async def guard(self, connection: AsyncConnection) -> None:
        """Goes before rows that the step writes while it runs, such as progress; raises ClaimLost."""
        await self._store.guard(connection, self._claim)
