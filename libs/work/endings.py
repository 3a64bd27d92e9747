"""How jobs end or go on when no step can say so: cancelled, in a crash loop, failed. The service chooses the states."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from libs.errors import AppError
from libs.work.context import Context
from libs.work.job import Claim, Outcome, Retry

Step = Callable[[Claim, Context], Awaitable[Outcome]]
Failed = Callable[[Claim, Exception], Outcome]

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=10)
_random = random.SystemRandom()


def backed_off(claim: Claim, error: Exception) -> Retry:
    """Tries again after an exponential delay with full jitter, never before the time that the error names."""
    ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(claim.attempt, 16))
    jitter = ceiling * _random.random()
    after = (error.retry_after if isinstance(error, AppError) else None) or timedelta()
    return Retry(error=explained(error), after=after + jitter)


def explained(error: Exception) -> str:
    """What people may read about it: an AppError's message; of our own mistakes only the kind."""
    return error.message if isinstance(error, AppError) else f"unexpected {type(error).__name__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endings:
    """`cancelled` cleans up and ends a job; `crash_loop` ends one that keeps killing workers, and does nothing risky.

    `failed` decides about a step that raised: try again, or end.
    """

    cancelled: Step
    crash_loop: Step
    failed: Failed = backed_off
