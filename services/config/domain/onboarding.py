"""The first start, step by step: one for the installation, going on where it stopped.

NOT_STARTED --start--> RUNNING --last step ended--> COMPLETED --start(restart)--> RUNNING
                       |     ^
            step failed|     |start, skip
                       v     |
                       FAILED

Each step: PENDING --> RUNNING --> DONE | SKIPPED | FAILED, and FAILED --> PENDING | SKIPPED. What is in the way of a
running one, and may pass by itself, is waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from libs.errors import Conflict, FailedPrecondition

_WHOLE = 100  # per cent


class StepKind(StrEnum):
    """The steps, in their order."""

    STORAGE = "STORAGE"
    LIDARR = "LIDARR"
    PEERS = "PEERS"
    WEBHOOK = "WEBHOOK"
    ACQUISITION = "ACQUISITION"


class StepState(StrEnum):
    """How a step stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class OnboardingState(StrEnum):
    """How all of it stands."""

    NOT_STARTED = "NOT_STARTED"
    RUNNING = "RUNNING"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"


PASSED = frozenset({StepState.DONE, StepState.SKIPPED})


class OnboardingChanged(Conflict):
    """It changed since the caller read it; `metadata["etag"]` is the current one."""

    reason = "ONBOARDING_CHANGED"


class OnboardingUnreadable(FailedPrecondition):
    """What is kept of it is nothing that this release knows."""

    reason = "ONBOARDING_UNREADABLE"


class NothingToSkip(FailedPrecondition):
    """No step is waiting to be left out."""

    reason = "NOTHING_TO_SKIP"


class StepRequired(FailedPrecondition):
    """Nothing works without this step."""

    reason = "STEP_REQUIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """The album of the last step."""

    artist: str
    title: str
    release_group_mbid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one look at a step found; RUNNING when it needs more time, of which `share` (0 to 1) is done.

    `troubled` is a running one that something is in the way of, which may mend itself. `acquisition` is the name of the
    one that the last step waits for.
    """

    state: StepState
    message: str = ""
    advice: str = ""
    reason: str = ""
    share: float = 0.0
    acquisition: str = ""
    troubled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step. `troubled_since` is when the trouble began that every look since then has found."""

    kind: StepKind
    state: StepState = StepState.PENDING
    message: str = ""
    advice: str = ""
    reason: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    troubled_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarding:
    """The first start of an installation. `request_id` makes the acquisition of the last step once."""

    state: OnboardingState = OnboardingState.NOT_STARTED
    steps: tuple[Step, ...] = tuple(Step(kind=kind) for kind in StepKind)
    progress: int = 0
    album: Album | None = None
    acquisition: str = ""
    request_id: str = ""
    actor: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    updated_at: datetime | None = None
    version: int = 0

    @property
    def etag(self) -> str:
        """The version as an entity tag, quotes included (AIP-154)."""
        return f'"{self.version}"'

    @property
    def current(self) -> Step | None:
        """The step whose turn it is; None when all are behind us."""
        return next((step for step in self.steps if step.state not in PASSED), None)

    def passed(self, kind: StepKind) -> bool:
        """Whether a step did what it is for."""
        return any(step.kind is kind and step.state is StepState.DONE for step in self.steps)

    def started(self, *, album: Album | None, restart: bool, request_id: str, actor: str, at: datetime) -> "Onboarding":
        """Begun, or going on at the step that failed; as it is where it runs, or is complete and not to restart."""
        if self.state is OnboardingState.RUNNING or (self.state is OnboardingState.COMPLETED and not restart):
            return self
        before = Onboarding(album=self.album, version=self.version) if self._is_afresh(restart) else self
        return replace(
            before._going_on(at),
            album=album or before.album,
            request_id=request_id,
            acquisition="",
            actor=actor,
            started_at=before.started_at or at,
        )

    def begun(self, *, at: datetime) -> "Onboarding":
        """With the current step running; as it is where it runs already."""
        step = self.current
        if step is None or step.state is StepState.RUNNING:
            return self
        running = replace(step, state=StepState.RUNNING, started_at=at)
        return replace(self, steps=_with(self.steps, running), updated_at=at)

    def told(self, result: Result, *, at: datetime) -> "Onboarding":
        """After a look at the current step."""
        step = self.current
        assert step is not None
        is_over = result.state is not StepState.RUNNING
        told = Step(
            kind=step.kind,
            state=result.state,
            message=result.message,
            advice=result.advice,
            reason=result.reason,
            started_at=step.started_at or at,
            ended_at=at if is_over else None,
            troubled_since=(step.troubled_since or at) if result.troubled else None,
        )
        after = replace(self, steps=_with(self.steps, told), acquisition=result.acquisition or self.acquisition)
        return after._settled(share=0.0 if is_over else result.share, at=at)

    def skipped(self, *, actor: str, at: datetime) -> "Onboarding":
        """Without the current step; raises NothingToSkip or StepRequired."""
        step = self.current
        if self.state is OnboardingState.NOT_STARTED:
            raise NothingToSkip("nobody has started the onboarding yet: start it, then leave steps out")
        if step is None:
            raise NothingToSkip("no step is left: the onboarding is complete")
        if step.kind is StepKind.STORAGE:
            raise StepRequired("storage cannot be left out: nothing arrives without a folder to put it in")
        message = f"Left out by {actor}."
        left_out = Step(
            kind=step.kind, state=StepState.SKIPPED, message=message, started_at=step.started_at, ended_at=at
        )
        return replace(self, steps=_with(self.steps, left_out))._going_on(at)

    def _is_afresh(self, restart: bool) -> bool:
        return restart or self.state is OnboardingState.NOT_STARTED

    def _going_on(self, at: datetime) -> "Onboarding":
        """Running again, the failed step as if it had not been tried."""
        steps = tuple(Step(kind=each.kind) if each.state is StepState.FAILED else each for each in self.steps)
        return replace(self, state=OnboardingState.RUNNING, steps=steps, ended_at=None)._settled(share=0.0, at=at)

    def _settled(self, *, share: float, at: datetime) -> "Onboarding":
        """Its state and progress, as the steps say; progress never falls."""
        passed = sum(step.state in PASSED for step in self.steps)
        progress = int(_WHOLE * (passed + min(share, 1.0)) / len(self.steps))
        failed = any(step.state is StepState.FAILED for step in self.steps)
        complete = passed == len(self.steps)
        state = OnboardingState.FAILED if failed else OnboardingState.COMPLETED if complete else self.state
        return replace(
            self,
            state=state,
            progress=max(self.progress, progress),
            ended_at=at if failed or complete else None,
            updated_at=at,
        )


def _with(steps: Sequence[Step], step: Step) -> tuple[Step, ...]:
    return tuple(step if each.kind is step.kind else each for each in steps)
