"""How our registration in Lidarr is at this moment, for whoever sets the suite up and waits for it."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import select

from libs.errors import FailedPrecondition
from libs.sql.engine import Database
from services.webhooks.domain.event import Origin
from services.webhooks.peers import PeerUnavailable
from services.webhooks.tables import event

PATIENCE = 7.0  # seconds for a look; Lidarr may call us meanwhile, and take its time

_SOURCE = "lidarr"
_UNDER_WAY = "Lidarr is being asked, and has not answered yet"


class Standing(StrEnum):
    """How it is."""

    OFF = "OFF"
    GOOD = "GOOD"
    WAITING = "WAITING"
    BROKEN = "BROKEN"
    UNREACHABLE = "UNREACHABLE"


class Outcome(Protocol):
    """What came of looking at it, and repairing it."""

    @property
    def standing(self) -> str:
        """How it is: a name in `Standing`, or that it was repaired."""
        ...

    @property
    def text(self) -> str:
        """What was done, has to be done, or keeps it from being done: a sentence."""
        ...


Tend = Callable[[], Coroutine[Any, Any, Outcome]]
"""Looks at our registration, and repairs it. Raises AppError where Lidarr cannot be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How it is, and when Lidarr last delivered something."""

    standing: Standing
    text: str
    last_delivery: datetime | None


class RegistrationCheck:
    """Looks at it when asked; a look that takes long goes on, and whoever asks meanwhile shares it."""

    def __init__(self, database: Database, tend: Tend, *, patience: float = PATIENCE) -> None:
        self._database = database
        self._tend = tend
        self._patience = patience
        self._looking: asyncio.Task[Outcome] | None = None

    async def check(self) -> Report:
        """How it is now. Raises DatabaseUnavailable."""
        standing, text = await self._look()
        return Report(standing=standing, text=text, last_delivery=await self._last_delivery())

    async def _look(self) -> tuple[Standing, str]:
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.create_task(self._tend())
        done, _ = await asyncio.wait([looking], timeout=self._patience)
        if not done:
            return Standing.WAITING, _UNDER_WAY
        try:
            outcome = looking.result()
        except PeerUnavailable as error:
            return Standing.UNREACHABLE, error.message
        except FailedPrecondition as error:
            return Standing.BROKEN, error.message
        repaired = outcome.standing not in Standing.__members__
        return Standing.GOOD if repaired else Standing(outcome.standing), outcome.text

    async def _last_delivery(self) -> datetime | None:
        newest = (
            select(event.c.received_at)
            .where(event.c.source == _SOURCE, event.c.origin == Origin.DELIVERY)
            .order_by(event.c.received_at.desc())
            .limit(1)
        )
        async with self._database.reading() as connection:
            received: datetime | None = await connection.scalar(newest)
        return received
