"""The loop that does the onboarding: a look at the current step, again until all are behind us."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta

from libs.clock import Clock
from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.domain.onboarding import Onboarding, OnboardingChanged, Result, StepState
from services.config.onboarding.steps import Steps
from services.config.onboarding.store import SqlOnboarding

TTL = timedelta(seconds=30)  # of a look: the longest ends before; whoever dies keeps others away for as long
PAUSE = timedelta(seconds=1)  # between looks, and how late a change of another replica may be noticed

log = get_logger(__name__)


class OnboardingWorker:
    """Does the onboarding, and tells those who follow it."""

    def __init__(self, store: SqlOnboarding, steps: Steps, *, clock: Clock, pause: timedelta = PAUSE) -> None:
        self._store = store
        self._steps = steps
        self._clock = clock
        self._pause = pause.total_seconds()
        self._changed = asyncio.Event()
        self._failing = False

    def wake(self) -> None:
        """There may be something to do, or to tell."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Looks as long as there is something to look at."""
        while True:
            if not await self._moved():
                await self._wait()

    async def _moved(self) -> bool:
        """Whether a look brought it on; what the database denies is tried again."""
        try:
            moved = await self.run_once()
        except AppError as error:
            if not self._failing:
                log.warning("onboarding.not_looked_at", reason=error.code_reason)
            self._failing = True
            return False
        self._failing = False
        return moved

    async def run_once(self) -> bool:
        """One look; whether the onboarding went on by a step."""
        onboarding = await self._store.claim(TTL)
        if onboarding is None:
            return False
        try:
            begun = await self._begun(onboarding)
            return await self._note(begun, await self._steps.look(begun))
        except OnboardingChanged:  # somebody left the step out meanwhile
            return False

    async def follow(self) -> AsyncGenerator[Onboarding]:
        """As it is, then whenever it changes."""
        seen: Onboarding | None = None
        while True:
            now = await self._store.get()
            if now != seen:
                yield (seen := now)
            await self._wait()

    async def _begun(self, claimed: Onboarding) -> Onboarding:
        """With the current step running, so that people see what is being looked at."""
        begun = claimed.begun(at=self._clock.now())
        if begun == claimed:
            return claimed
        saved = await self._store.save(begun, claimed=TTL)
        self.wake()
        return saved

    async def _note(self, before: Onboarding, result: Result) -> bool:
        after = before.told(result, at=self._clock.now())
        is_over = result.state is not StepState.RUNNING
        if not is_over and _is_same(before, after):
            await self._store.free(before)
            return False
        await self._store.save(after)
        self.wake()
        step = before.current
        if is_over and step is not None:
            log.info("onboarding.step_ended", step=step.kind, state=result.state, reason=result.reason)
        return is_over

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._changed.wait()


def _is_same(before: Onboarding, after: Onboarding) -> bool:
    """Whether nothing changed that anybody would see."""
    return (before.steps, before.progress, before.acquisition) == (after.steps, after.progress, after.acquisition)
