"""Processing: claims events, lets each take effect, and settles what came of it, many at a time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from libs.clock import Clock
from libs.errors import ResourceExhausted, Unavailable
from services.webhooks.domain.event import DeadReason, Event
from services.webhooks.domain.handling import Handling
from services.webhooks.domain.lifecycle import Chance, Settlement, settle
from services.webhooks.domain.verdict import Failed, Hopeless, Outage, Verdict

BATCH = 64
MAX_CRASHES = 5
LEASE = timedelta(seconds=20)
_PART_FOR_HANDLING = 0.8  # of the lease; the rest of it is for settling
_SETTLING_TRIES = 8
_BETWEEN_TRIES = 0.5  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """An event that is ours for the time of the lease, which the store knows again when we settle.

    `crashes` counts earlier claims that ended without a word.
    """

    event: Event
    lease: object
    crashes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a try came to; `seconds` is how long it took."""

    claimed: Claimed
    settlement: Settlement
    seconds: float


class ClaimableEvents(Protocol):
    """The events that wait to be handled."""

    async def claim(self, limit: int, lease: timedelta) -> Sequence[Claimed]:
        """Take up to so many due events, the most overdue first, for the time of the lease."""
        ...

    async def settle(self, settled: Sequence[Settled]) -> frozenset[str]:
        """Write what the tries came to, in one transaction; returns the ids of those whose lease still held."""
        ...

    async def release(self, claims: Sequence[Claimed]) -> None:
        """Give claims back as if they had never been made."""
        ...


class ProcessingLog(Protocol):
    """Who counts what became of events."""

    def settled(self, settled: Settled) -> None:
        """A try was settled."""
        ...

    def lost(self, settled: Settled) -> None:
        """A try took longer than its lease: somebody else has the event now."""
        ...

    def broken(self, claimed: Claimed, error: BaseException) -> None:
        """A try ended with a defect of ours."""
        ...


class Processing:
    """Handles due events, up to 64 a pass. Those of a process that died wait for the end of its `lease`."""

    def __init__(
        self,
        events: ClaimableEvents,
        handling: Handling,
        *,
        log: ProcessingLog,
        clock: Clock,
        chance: Chance,
        lease: timedelta = LEASE,
    ) -> None:
        self._events = events
        self._handling = handling
        self._log = log
        self._clock = clock
        self._chance = chance
        self._lease = lease

    async def run_once(self) -> int:
        """One pass; returns how many events it took. Raises Unavailable where the database is away."""
        claims = await self._events.claim(BATCH, self._lease)
        if claims:
            await self._settle(await self._try_all(claims))
        return len(claims)

    async def _try_all(self, claims: Sequence[Claimed]) -> Sequence[Settled]:
        try:  # all at once: what they tell other services shares calls
            results = await asyncio.gather(*map(self._try, claims), return_exceptions=True)
        except asyncio.CancelledError:  # shutting down: whoever comes next need not wait for the leases to end
            await self._events.release(claims)
            raise
        return [self._settled(claimed, result) for claimed, result in zip(claims, results, strict=True)]

    def _settled(self, claimed: Claimed, result: Settled | BaseException) -> Settled:
        """A defect in handling one event spends a try of that event, and stops no other."""
        if isinstance(result, Settled):
            return result
        self._log.broken(claimed, result)
        verdict = Failed(error="internal error")
        settlement = settle(claimed.event.progress, verdict, now=self._clock.now(), chance=self._chance)
        return Settled(claimed=claimed, settlement=settlement, seconds=0.0)

    async def _try(self, claimed: Claimed) -> Settled:
        start = self._clock.monotonic()
        try:
            async with asyncio.timeout(_PART_FOR_HANDLING * self._lease.total_seconds()):
                verdict = await self._verdict(claimed)
        except TimeoutError:
            verdict = Outage(error="it was not handled within its lease")
        settlement = settle(claimed.event.progress, verdict, now=self._clock.now(), chance=self._chance)
        return Settled(claimed=claimed, settlement=settlement, seconds=self._clock.monotonic() - start)

    async def _verdict(self, claimed: Claimed) -> Verdict:
        if claimed.crashes >= MAX_CRASHES:
            error = f"crash loop: handling it ended without a word {claimed.crashes} times"
            return Hopeless(error=error, reason=DeadReason.CRASH_LOOP)
        return await self._handling.handle(claimed.event)

    async def _settle(self, settled: Sequence[Settled]) -> None:
        kept = await self._kept(settled)
        for each in settled:
            if each.claimed.event.id in kept:
                self._log.settled(each)
            else:
                self._log.lost(each)

    async def _kept(self, settled: Sequence[Settled]) -> frozenset[str]:
        """Settles, again and again while the database is away and the leases hold: else it would look like a crash.

        Where an answer was lost, the second time finds no lease, and all is as it should be.
        """
        for _ in range(_SETTLING_TRIES):
            try:
                return await self._events.settle(settled)
            except (Unavailable, ResourceExhausted):
                await asyncio.sleep(_BETWEEN_TRIES)
        return await self._events.settle(settled)
