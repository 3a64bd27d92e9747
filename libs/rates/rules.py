"""How often somebody may do something: rules, and how he stands by them.

A `Bucket` holds `burst` and is refilled steadily: whoever pauses may be quick afterwards. A `Window` holds `limit`
within any stretch of `period`. It forgets in steps of a sixtieth of the period, and late rather than early: what was
done counts for a period and at most one step longer, so the limit always holds, and an hour takes 61 numbers however
much is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import NamedTuple, Protocol

STEPS = 60  # of a window's period
TOLERANCE = 1e-6  # of one, for what is lost in adding up fractions


@dataclass(frozen=True)
class Bucket:
    """At most `burst` at once, and `per_minute` for long."""

    name: str
    burst: int
    per_minute: int

    @property
    def limit(self) -> int:
        """What may be done at most, in one go."""
        return self.burst

    @cached_property
    def rate(self) -> float:
        """What is refilled in a second."""
        return self.per_minute / 60

    @property
    def seconds(self) -> float:
        """How long it takes to fill an empty one."""
        return self.burst / self.rate


@dataclass(frozen=True)
class Window:
    """At most `limit` within any `period`."""

    name: str
    limit: int
    period: timedelta

    @cached_property
    def seconds(self) -> float:
        """The period."""
        return self.period.total_seconds()

    @cached_property
    def step(self) -> float:
        """Seconds that are remembered as one."""
        return self.seconds / STEPS


Rule = Bucket | Window


class Subject(NamedTuple):
    """Whose doings are counted: `kind` has few values (`key`, `address`)."""

    kind: str
    name: str


class Standing(NamedTuple):
    """How somebody stands by one rule: what is left, and after how many seconds there is more than that."""

    rule: Rule
    remaining: int
    more_after: float

    @property
    def retry_after(self) -> float:
        """Seconds until it is let through again; 0 where it is."""
        return 0.0 if self.remaining else self.more_after


class Decision(NamedTuple):
    """Whether all rules let it through, and how he stands by each of them afterwards."""

    allowed: bool
    standings: tuple[Standing, ...]

    @property
    def tightest(self) -> Standing:
        """The rule that refuses next, or refuses for the longest time."""
        return min(self.standings, key=_tightness)


def _tightness(standing: Standing) -> tuple[int, float]:
    return standing.remaining, -standing.more_after


class Counts(Protocol):
    """What counts. Nothing is counted of what is refused, by whichever rule: it is one step."""

    @property
    def shared(self) -> bool:
        """Whether all processes count together."""
        ...

    async def take(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """Counts one by all rules if all let it through."""
        ...

    async def look(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """How he stands, without counting; `allowed` tells what `take` would."""
        ...

    async def forget(self, subject: Subject, rules: Sequence[Rule]) -> bool:
        """Forgets what was counted by these rules; whether anything was."""
        ...
