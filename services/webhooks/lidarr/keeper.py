"""The loop that keeps Lidarr telling us: registered from the start, back after failures, asked for what was lost."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.webhooks.domain.backfill import Gap, SenderLog
from services.webhooks.lidarr.registration import LidarrRegistration, Outcome, Standing
from services.webhooks.lidarr.secret import SOURCE
from services.webhooks.peers import Peer

logger = get_logger()

LOOK = timedelta(seconds=60)  # between two looks while all is well
SHORTEST_WAIT = timedelta(seconds=1)  # after trouble; doubles up to the time between two looks
WAITING_WAIT = timedelta(seconds=4)  # at most, for our own address or another replica, which are soon there
WAITING_LOOKS = 20  # that are so frequent
_TROUBLE = (Standing.BROKEN, Standing.WAITING)
_JITTER = 0.2
_random = random.SystemRandom()


class Keeper:
    """Looks after the registration; fills the gaps when Lidarr had us off, was restarted, or was away.

    `wake` says that settings have changed.
    """

    def __init__(
        self,
        lidarr: Peer,
        registration: LidarrRegistration,
        gaps: Sequence[Gap],
        *,
        log: SenderLog,
        look: timedelta = LOOK,
    ) -> None:
        self._lidarr = lidarr
        self._registration = registration
        self._gaps = gaps
        self._log = log
        self._look = self._patience = look
        self._woken = asyncio.Event()
        self._failures = 0
        self._told = ""
        self.outcome: Outcome | None = None  # of the last look
        self._filled_for = ""  # the start of Lidarr at which the gaps were last filled

    @property
    def pause(self) -> timedelta:
        """Until the next look: sooner after trouble, and soonest while somebody is waited for."""
        backed_off = SHORTEST_WAIT * 2 ** min(self._failures - 1, 10) if self._failures else self._look
        return min(backed_off, self._patience)

    def wake(self) -> None:
        """Look now."""
        self._woken.set()

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            self._woken.clear()
            await self.run_once()
            await self._wait()

    async def run_once(self) -> Outcome:
        """One look, and what it calls for; whatever is wrong is told once."""
        try:
            outcome = await self._registration.tend()
            await self._catch_up(outcome)
        except AppError as error:
            outcome = Outcome(standing=Standing.BROKEN, text=error.message)
        self.outcome = outcome
        self._failures = self._failures + 1 if outcome.standing in _TROUBLE else 0
        soon = outcome.standing is Standing.WAITING and self._failures <= WAITING_LOOKS
        self._patience = WAITING_WAIT if soon else self._look
        self._tell(outcome)
        return outcome

    async def _catch_up(self, outcome: Outcome) -> None:
        """After a start of ours or of Lidarr, and after trouble, whether or not Lidarr can reach us."""
        if self._lidarr.address is None:
            return
        status = (await self._lidarr.get("/system/status")).body
        started = str(status.get("startTime", "")) if isinstance(status, dict) else ""
        calm = outcome.standing in (Standing.GOOD, Standing.OFF) and not self._failures
        if not (calm and started == self._filled_for):
            filled = [await self._fill(gap) for gap in self._gaps]
            self._filled_for = started if all(filled) else ""

    async def _fill(self, gap: Gap) -> bool:
        try:
            await gap.fill()
        except AppError as error:
            logger.warning("lidarr.gap_unknown", cause=error.message)
            return False
        return True

    def _tell(self, outcome: Outcome) -> None:
        self._log.registered(SOURCE, outcome.standing in (Standing.GOOD, Standing.REPAIRED))
        told = f"{outcome.standing} {outcome.text}"
        if told == self._told:
            return
        self._told = told
        if outcome.standing is Standing.BROKEN:
            logger.warning("lidarr.registration_broken", cause=outcome.text)
        elif outcome.standing is Standing.WAITING:
            logger.info("lidarr.registration_waits", cause=outcome.text)
        elif outcome.standing is not Standing.OFF:
            logger.info("lidarr.registered", done=outcome.text or None)

    async def _wait(self) -> None:
        """Until the next look, and at once when woken."""
        seconds = self.pause.total_seconds() * (1 + _random.uniform(0, _JITTER))
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
