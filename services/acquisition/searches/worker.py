"""Runs the searches that people begin, in the process that is connected to the network of peers."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.acquisition.domain.candidates import Candidate
from services.acquisition.domain.control import KillSwitchOn
from services.acquisition.domain.peers import NetworkAway, NetworkUnusable, PeerNetwork, PeerNetworkFault
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.reputation import PeerRecords
from services.acquisition.domain.searching import Offered, Question, offered
from services.acquisition.searches.backlog import SqlBacklog

log = get_logger()

AT_ONCE = 4
POLL_SECONDS = 1.0
TOUCH_SECONDS = 15.0
PATIENCE = timedelta(seconds=90)  # for a network that is away, or bears nothing now
_PAUSE_SECONDS = 2.0


class SearchWork:
    """`network` is what is asked, None where nothing is configured; `is_ours` whether this process is connected."""

    def __init__(
        self,
        backlog: SqlBacklog,
        *,
        network: Callable[[], PeerNetwork | None],
        is_ours: Callable[[], bool],
        records: PeerRecords,
        taste: Callable[[], Taste],
        runner: str,
        clock: Clock,
        pause_seconds: float = _PAUSE_SECONDS,
    ) -> None:
        self._backlog = backlog
        self._network = network
        self._is_ours = is_ours
        self._records = records
        self._taste = taste
        self._runner = runner
        self._clock = clock
        self._pause_seconds = pause_seconds
        self._woken = asyncio.Event()
        self._running: dict[asyncio.Task[None], Question] = {}
        self._touched = clock.monotonic()

    def wake(self) -> None:
        """Tell that there may be a search to run."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; what is not ended then is left to another process."""
        try:
            while True:
                self._woken.clear()
                await self._pass()
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._woken.wait()
        finally:
            await self._stop()

    async def run_once(self) -> None:
        """One pass, and the end of all that it began."""
        await self._begin()
        await asyncio.gather(*self._running)

    async def _pass(self) -> None:
        try:
            await self._begin()
        except AppError as error:  # the database is away: the next pass tries again
            log.warning("searches.not_run", reason=error.code_reason)

    async def _begin(self) -> None:
        await self._backlog.give_up()
        now = self._clock.monotonic()
        if self._running and now - self._touched > TOUCH_SECONDS:
            self._touched = now
            await self._backlog.touch(self._runner, self._running.values())
        network, room = self._network(), AT_ONCE - len(self._running)
        if network is None or room <= 0 or not self._is_ours():
            return
        for question in await self._backlog.take(self._runner, room):
            task = asyncio.create_task(self._one(network, question))
            self._running[task] = question
            task.add_done_callback(self._running.pop)

    async def _one(self, network: PeerNetwork, question: Question) -> None:
        try:
            await self._backlog.end(question, await self._patiently(network, question))
        except (PeerNetworkFault, KillSwitchOn) as fault:
            await self._backlog.end(question, problem=fault.message)
        except AppError as error:  # it is found again without a sign of life
            log.warning("searches.not_ended", reason=error.code_reason)

    async def _patiently(self, network: PeerNetwork, question: Question) -> list[Offered]:
        """The offers; a network that is away is waited for. Raises PeerNetworkFault."""
        end = self._clock.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                return await self._ask(network, question)
            except NetworkUnusable:
                raise
            except NetworkAway:
                if self._clock.monotonic() > end:
                    raise
                await asyncio.sleep(self._pause_seconds)

    async def _ask(self, network: PeerNetwork, question: Question) -> list[Offered]:
        """One query after the other, until something suits."""
        offers: list[Offered] = []
        for query in question.queries:
            await self._backlog.ensure_going()
            offers = await self._judge(question, list(await network.search(query)))
            if offers:
                break
        return offers

    async def _judge(self, question: Question, candidates: list[Candidate]) -> list[Offered]:
        records = await self._records.of({candidate.peer for candidate in candidates})
        taste, now = self._taste(), self._clock.now()
        return await asyncio.to_thread(offered, question, candidates, taste=taste, records=records, now=now)

    async def _stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        with suppress(AppError):  # it is found again without a sign of life
            await self._backlog.release(self._runner)
