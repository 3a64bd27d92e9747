"""Runs automations that are due: one process a run, each action noted before it is done, none without a look around."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.automations.actions import SqlActions
from services.config.automations.guard import Guard
from services.config.automations.metrics import AutomationMetrics
from services.config.automations.store import SqlAutomations
from services.config.domain.automations import (
    MOST_LOOKED_AT,
    MOST_OF_RUN,
    Action,
    ActionStatus,
    Candidate,
    Doer,
    Run,
    RunHeld,
    RunLost,
)
from services.config.domain.safety import OF_USER, Switch

POLL = timedelta(seconds=5)
REST = timedelta(seconds=30)  # after what interrupted a run
HELD = "Held by the kill switch; it goes on when that is off."

log = get_logger(__name__)


class AutomationRunner:
    """`doers` do what each automation is for."""

    def __init__(
        self,
        automations: SqlAutomations,
        actions: SqlActions,
        guard: Guard,
        *,
        doers: Mapping[str, Doer],
        metrics: AutomationMetrics,
    ) -> None:
        self._automations = automations
        self._actions = actions
        self._guard = guard
        self._doers = doers
        self._metrics = metrics
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """An automation was changed: one may be due."""
        self._woken.set()

    async def run(self) -> None:
        """Again and again, until it is cancelled; what is left then is found by whoever comes next."""
        while True:
            self._woken.clear()
            try:
                await self.run_once()
            except AppError as error:  # the database is away: the next pass tries again
                log.warning("automations.not_run", reason=error.code_reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL.total_seconds()):
                    await self._woken.wait()

    async def run_once(self) -> None:
        """One pass: what is due and belongs to nobody, unless the kill switch is on."""
        for automation in await self._automations.due():
            if await self._guard.switch() is not Switch.OFF:
                return
            if (run := await self._automations.claim(automation)) is not None:
                await self._one(run)

    async def _one(self, run: Run) -> None:
        tally: Counter[ActionStatus] = Counter()
        try:
            await self._through(run, self._doers[run.automation], tally)
            await self._automations.finish(run, _told(tally))
        except RunLost:
            log.info("automation.lost", automation=run.automation, number=run.number)
        except RunHeld:
            await self._automations.leave(run, HELD)
        except AppError as error:
            log.warning("automation.interrupted", automation=run.automation, reason=error.code_reason)
            await self._automations.leave(run, f"Interrupted ({error.code_reason}); it goes on soon.", rest=REST)
        else:
            log.info("automation.ran", automation=run.automation, number=run.number, result=_told(tally))

    async def _through(self, run: Run, doer: Doer, tally: Counter[ActionStatus]) -> None:
        """What somebody left, then what is there to do. Raises RunLost, RunHeld, and AppError where it cannot go on."""
        for action in await self._actions.pending(run.automation, MOST_OF_RUN):
            await self._ensure_going()
            await self._actions.renew(run)
            if not self._guard.limits().dry_run:
                tally[await self._done(doer, action)] += 1
        refused: set[str] = set()  # users whom nothing more is allowed: theirs must not keep those of others waiting
        for wish in await doer.candidates(MOST_LOOKED_AT):
            if wish.user in refused:
                continue
            action = await self._wished(run, doer, wish)
            tally[action.status] += 1
            if action.reason in OF_USER:
                refused.add(wish.user)
            if tally.total() - tally[ActionStatus.THROTTLED] >= MOST_OF_RUN:
                return

    async def _wished(self, run: Run, doer: Doer, wish: Candidate) -> Action:
        switch = await self._ensure_going()
        action = await self._actions.reserve(run, wish, await self._guard.terms(wish.user, switch))
        if action.status is ActionStatus.PENDING and not self._guard.limits().dry_run:
            return replace(action, status=await self._done(doer, action))
        self._metrics.ended(run.automation, action.status)
        return action

    async def _done(self, doer: Doer, action: Action) -> ActionStatus:
        outcome = await doer.act(action)
        await self._actions.end(action, outcome)
        self._metrics.ended(action.automation, outcome.status)
        return outcome.status

    async def _ensure_going(self) -> Switch:
        if (switch := await self._guard.switch()) is not Switch.OFF:
            raise RunHeld
        return switch


def _told(tally: Counter[ActionStatus]) -> str:
    """What came of a run, for people."""
    told = [f"{tally[status]} {status.lower()}" for status in ActionStatus if tally[status]]
    return f"{', '.join(told)}." if told else "There was nothing to do."
