"""Reconciling: what is stuck or missing is found, and corrected, by one replica at a time.

Only what is ours is touched. A sender that could not be asked is unknown, never empty: nothing follows from it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from libs.clock import Clock
from libs.errors import AppError
from services.webhooks.domain.backfill import Gap, Missed


class Kind(StrEnum):
    """What is wrong."""

    LEASE_EXPIRED = "LEASE_EXPIRED"  # the holder of an event's lease died
    RETRY_OVERDUE = "RETRY_OVERDUE"  # long due, and nobody took it
    MATCH_OVERDUE = "MATCH_OVERDUE"  # nobody waited for it, but acquisitions were made or changed since
    WORK_MISSING = "WORK_MISSING"  # an event without work on it
    WORK_ORPHANED = "WORK_ORPHANED"  # the reverse
    BODY_MISSING = "BODY_MISSING"  # an event without its body
    BODY_ORPHANED = "BODY_ORPHANED"  # the reverse
    PARTITION_MISSING = "PARTITION_MISSING"  # no room for the bodies of a day
    EVENT_MISSED = "EVENT_MISSED"  # a sender did something of which no webhook came
    REGISTRATION_BROKEN = "REGISTRATION_BROKEN"  # a sender does not know us
    UNKNOWN = "UNKNOWN"  # a sender could not be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be; `correction` is a sentence: what was, or would be, done."""

    kind: Kind
    subject: str
    correction: str


class Check(Protocol):
    """One kind of things that may be stuck or missing."""

    async def find(self) -> Sequence[Finding]:
        """What is wrong, and what would be done; changes nothing. Raises AppError."""
        ...

    async def correct(self) -> Sequence[Finding]:
        """Corrects what is wrong, and says what was done; safe to repeat. Raises AppError."""
        ...


class ReconcilingLog(Protocol):
    """Who counts findings."""

    def found(self, finding: Finding) -> None:
        """Something was found, and corrected."""
        ...

    def reconciled(self, findings: int, seconds: float) -> None:
        """A pass has ended."""
        ...


class GapCheck:
    """What a sender's own records tell of which no delivery came."""

    def __init__(self, gap: Gap) -> None:
        self._gap = gap

    async def find(self) -> Sequence[Finding]:
        """What is missing, or that it is unknown."""
        try:
            return [_of_missed(missed) for missed in await self._gap.find()]
        except AppError as error:
            return [_unknown(self._gap.subject, error)]

    async def correct(self) -> Sequence[Finding]:
        """Brings it in, or says that it is unknown."""
        try:
            return [_of_missed(missed) for missed in await self._gap.fill()]
        except AppError as error:
            return [_unknown(self._gap.subject, error)]


class Reconciling:
    """All checks, one after the other."""

    def __init__(self, checks: Sequence[Check], *, log: ReconcilingLog, clock: Clock) -> None:
        self._checks = checks
        self._log = log
        self._clock = clock

    async def preview(self) -> list[Finding]:
        """What a pass would find and do now; changes nothing. Raises AppError where our database is away."""
        return [finding for check in self._checks for finding in await check.find()]

    async def run_once(self) -> list[Finding]:
        """One pass; raises AppError where our database is away: what was corrected by then stays so."""
        start, findings = self._clock.monotonic(), list[Finding]()
        for check in self._checks:
            for finding in await check.correct():
                self._log.found(finding)
                findings.append(finding)
        self._log.reconciled(len(findings), self._clock.monotonic() - start)
        return findings


def _of_missed(missed: Missed) -> Finding:
    return Finding(kind=Kind(missed.lack), subject=missed.subject, correction=missed.correction)


def _unknown(subject: str, error: AppError) -> Finding:
    correction = f"nothing: it could not be asked ({error.message})"
    return Finding(kind=Kind.UNKNOWN, subject=subject, correction=correction)
