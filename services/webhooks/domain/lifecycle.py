"""What follows from a verdict: the next state of an event, and when it is due again.

A failure is tried again after an exponential delay with full jitter, at most three tries in all; who says how long to
wait is heard, up to twice the longest that this delay might have been. An outage spends no try. An event that nobody
waits for is looked at again at growing intervals for a day.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.webhooks.domain.event import DeadReason, Progress, State
from services.webhooks.domain.verdict import Failed, Hopeless, NobodyWaits, NothingToDo, Outage, TookEffect, Verdict

MAX_FAILURES = 3
RETRY_BASE = timedelta(seconds=2)
RETRY_CAP = timedelta(minutes=5)
OUTAGE_BASE = timedelta(seconds=1)
OUTAGE_CAP = timedelta(seconds=15)
UNMATCHED_FIRST = timedelta(seconds=5)
UNMATCHED_CAP = timedelta(minutes=15)
UNMATCHED_WINDOW = timedelta(hours=24)
_MAX_ERROR = 1000

Chance = Callable[[], float]
"""A number from 0 up to 1, evenly spread: `random.random`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Where an event stands after a try; `delay` is None once it has ended, `reason` is there when it is dead."""

    state: State
    progress: Progress
    delay: timedelta | None = None
    reason: DeadReason | None = None


def settle(before: Progress, verdict: Verdict, *, now: datetime, chance: Chance) -> Settlement:
    """What follows from the verdict of one more try."""
    tried = replace(before, tries=before.tries + 1, error="")
    match verdict:
        case TookEffect(acquisitions=acquisitions, note=note):
            return Settlement(state=State.DONE, progress=_with_error(replace(tried, acquisitions=acquisitions), note))
        case NothingToDo(note=note):
            return Settlement(state=State.IGNORED, progress=_with_error(tried, note))
        case NobodyWaits():
            return _unmatched(tried, now)
        case Hopeless(error=error, reason=reason):
            return Settlement(state=State.DEAD, progress=_with_error(tried, error), reason=reason)
        case Failed(error=error, retry_after=retry_after):
            return _failed(_with_error(replace(tried, failures=tried.failures + 1), error), retry_after, chance)
        case Outage(error=error, retry_after=retry_after):
            return _outage(_with_error(tried, error), retry_after, chance)


def _unmatched(progress: Progress, now: datetime) -> Settlement:
    since = progress.unmatched_since or now
    waited = now - since
    if waited >= UNMATCHED_WINDOW:
        hours = UNMATCHED_WINDOW // timedelta(hours=1)
        note = f"no acquisition of ours waited for it within {hours} hours"
        return Settlement(state=State.IGNORED, progress=_with_error(progress, note))
    delay = min(max(waited, UNMATCHED_FIRST), UNMATCHED_CAP)
    return Settlement(state=State.UNMATCHED, progress=replace(progress, unmatched_since=since), delay=delay)


def _failed(progress: Progress, retry_after: timedelta | None, chance: Chance) -> Settlement:
    if progress.failures >= MAX_FAILURES:
        return Settlement(state=State.DEAD, progress=progress, reason=DeadReason.HANDLER_ERROR)
    ceiling = min(RETRY_BASE * 2**progress.failures, RETRY_CAP)
    delay = max(ceiling * chance(), min(retry_after or timedelta(), 2 * ceiling))
    return Settlement(state=State.RETRY, progress=progress, delay=delay)


def _outage(progress: Progress, retry_after: timedelta | None, chance: Chance) -> Settlement:
    ceiling = min(OUTAGE_BASE * 2 ** min(progress.tries, 10), OUTAGE_CAP)
    delay = max(ceiling * chance(), min(retry_after or timedelta(), OUTAGE_CAP))
    return Settlement(state=State.RETRY, progress=progress, delay=delay)


def _with_error(progress: Progress, error: str) -> Progress:
    return replace(progress, error=error[:_MAX_ERROR])
