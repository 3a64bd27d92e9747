"""Back-fill: what a sender's own records tell of which no delivery came, brought in behind the same door.

A sender that could not be asked is unknown, never empty: whoever looks raises, and nothing is concluded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Lack(StrEnum):
    """What is missing: named as a finding of the reconciler."""

    EVENT_MISSED = "EVENT_MISSED"
    REGISTRATION_BROKEN = "REGISTRATION_BROKEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """One thing that is missing: `subject` is `events/{event}` once it is stored, else `sources/{source}`.

    `correction` is a sentence: what is to be done about it, or was.
    """

    lack: Lack = Lack.EVENT_MISSED
    subject: str
    correction: str


class Gap(Protocol):
    """One place where something may be missing; not set up means that nothing is."""

    @property
    def subject(self) -> str:
        """Whom it asks: `sources/lidarr`."""
        ...

    async def find(self) -> Sequence[Missed]:
        """What is missing; changes nothing. Raises AppError where the sender, or our database, cannot be asked."""
        ...

    async def fill(self) -> Sequence[Missed]:
        """Brings in what is missing, and says what it was; safe to repeat. Raises AppError like `find`."""
        ...
