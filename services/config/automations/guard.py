"""Whether automations may act: the kill switch, the limits and what is used up of them. What is not known forbids."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from libs.errors import AppError
from libs.telemetry.logger import get_logger
from services.config.automations.actions import SqlActions, Terms
from services.config.automations.pauses import SqlPauses
from services.config.domain.automations import Action, Candidate
from services.config.domain.safety import BURST, HOUR, Limits, Reason, Switch, Verdict, judged

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How it stands for one user; `reason` is empty while automations run."""

    user: str
    switch: Switch
    limits: Limits
    in_burst: int = 0
    in_hour: int = 0
    failures: int = 0
    reason: Reason | None = None


class Guard:
    """Judges actions. `switch` asks for the kill switch, `limits` are those in force."""

    def __init__(
        self,
        actions: SqlActions,
        pauses: SqlPauses,
        *,
        switch: Callable[[], Awaitable[Switch]],
        limits: Callable[[], Limits],
    ) -> None:
        self._actions = actions
        self._pauses = pauses
        self.switch = switch
        self.limits = limits

    async def terms(self, user: str, switch: Switch) -> Terms:
        """What an action for the user is judged by; too many failures pause the user's automations durably."""
        limits = self.limits()
        failures = await self._pauses.check(user, limits.failures) if user else 0
        return Terms(limits=limits, switch=switch, failures=failures)

    async def check(self, user: str, target: str) -> Verdict:
        """Whether an action would be allowed now; it is not counted."""
        try:
            terms = await self.terms(user, await self.switch())
            usage, now = await self._actions.usage(_nothing_yet(user, target), terms)
        except AppError as error:
            log.warning("automations.not_checked", reason=error.code_reason)
            return Verdict(reason=Reason.ERROR)
        return judged(usage, terms.limits, switch=terms.switch, now=now)

    async def status(self, user: str) -> Status:
        """How it stands for a user."""
        switch = await self.switch()
        try:
            terms = await self.terms(user, switch)
            usage, now = await self._actions.usage(_nothing_yet(user, ""), terms)
        except AppError as error:
            log.warning("automations.not_checked", reason=error.code_reason)
            return Status(user=user, switch=switch, limits=self.limits(), reason=Reason.ERROR)
        verdict = judged(usage, terms.limits, switch=switch, now=now)
        pauses = (Reason.KILL_SWITCH, Reason.OAUTH_FAILURES, Reason.ERROR)
        return Status(
            user=user,
            switch=switch,
            limits=terms.limits,
            in_burst=usage.within(BURST, now),
            in_hour=usage.within(HOUR, now),
            failures=usage.failures,
            reason=verdict.reason if verdict.reason in pauses else None,
        )

    async def preview(self, automation: str, wishes: Sequence[Candidate]) -> Sequence[Action]:
        """What would come of these now; nothing is noted."""
        switch = await self.switch()
        terms = {user: await self.terms(user, switch) for user in {wish.user for wish in wishes}}
        return await self._actions.rehearse(automation, [(wish, terms[wish.user]) for wish in wishes])


def _nothing_yet(user: str, target: str) -> Candidate:
    return Candidate(target=target, user=user, etag="", description="")
