"""Counting in this process: exact for one, and bounded whoever comes."""

from array import array
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence
from math import floor
from time import monotonic

from libs.rates.rules import TOLERANCE, Bucket, Decision, Rule, Standing, Subject, Window

MOST = 20_000  # subjects of a kind


class MemoryCounts:
    """Counts in memory; `clock` gives seconds.

    Of each kind of subject at most `most` are remembered; those who did nothing for the longest time are forgotten
    first. Kinds do not meet: a flood of addresses makes no key forgotten.
    """

    shared = False

    def __init__(self, clock: Callable[[], float] = monotonic, *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._kinds: dict[str, OrderedDict[str, _Record]] = defaultdict(OrderedDict)

    def __len__(self) -> int:
        """How many subjects are remembered."""
        return sum(map(len, self._kinds.values()))

    async def take(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """Counts one by all rules if all let it through."""
        now = self._clock()
        record = self._record(subject, now)
        levels = [record.level(rule, now) for rule in rules]
        if not all([level.has_room() for level in levels]):
            return _decision(rules, levels, now, allowed=False)
        for level in levels:
            level.add(now)
            if level.idle_at > record.idle_at:
                record.idle_at = level.idle_at
        return _decision(rules, levels, now, allowed=True)

    async def look(self, subject: Subject, rules: Sequence[Rule]) -> Decision:
        """How he stands, without counting."""
        now = self._clock()
        record = self._kinds[subject.kind].get(subject.name) or _Record()
        levels = [record.level(rule, now) for rule in rules]
        return _decision(rules, levels, now, allowed=all([level.has_room() for level in levels]))

    async def forget(self, subject: Subject, rules: Sequence[Rule]) -> bool:
        """Forgets what was counted by these rules; whether anything was."""
        record = self._kinds[subject.kind].get(subject.name)
        if record is None:
            return False
        now = self._clock()
        return any([record.forget(rule, now) for rule in rules])

    def _record(self, subject: Subject, now: float) -> "_Record":
        records = self._kinds[subject.kind]
        record = records.get(subject.name)
        if record is not None:
            records.move_to_end(subject.name)
            return record
        for _ in range(2):  # of the oldest: more leave than come
            if records and (len(records) >= self._most or next(iter(records.values())).idle_at <= now):
                records.popitem(last=False)
        record = records[subject.name] = _Record()
        return record


class _Record:
    """What is remembered of one subject; from `idle_at` on, that is nothing."""

    __slots__ = ("idle_at", "levels")

    def __init__(self) -> None:
        self.idle_at = 0.0
        self.levels: dict[str, _BucketLevel | _WindowLevel] = {}

    def level(self, rule: Rule, now: float) -> "_BucketLevel | _WindowLevel":
        level = self.levels.get(rule.name)
        if level is None:
            level = self.levels[rule.name] = _BucketLevel(now) if isinstance(rule, Bucket) else _WindowLevel()
        level.advance(rule, now)  # type: ignore[arg-type] # of a name there is one kind of rule
        return level

    def forget(self, rule: Rule, now: float) -> bool:
        level = self.levels.pop(rule.name, None)
        if level is None:
            return False
        level.advance(rule, now)  # type: ignore[arg-type] # of a name there is one kind of rule
        return level.used > TOLERANCE


class _BucketLevel:
    """What is taken out of a bucket, and not refilled yet.

    It is kept as an amount, not as the moment when all will be refilled: when the rules change, a moment of the old
    ones would keep people waiting for longer than the new ones say.
    """

    __slots__ = ("_at", "_burst", "_rate", "used")

    def __init__(self, now: float) -> None:
        self.used = 0.0
        self._at = now

    def advance(self, rule: Bucket, now: float) -> None:
        self._rate, self._burst = rule.rate, rule.burst
        refilled = max(0.0, now - self._at) * self._rate
        self.used = max(0.0, min(self.used, self._burst) - refilled)
        self._at = max(now, self._at)

    def has_room(self) -> bool:
        return self.used + 1 <= self._burst + TOLERANCE

    def add(self, now: float) -> None:
        self.used += 1

    @property
    def idle_at(self) -> float:
        return self._at + self.used / self._rate

    def standing(self, rule: Rule, now: float) -> Standing:
        left = self._burst - self.used
        remaining = floor(left + TOLERANCE)
        more_after = (remaining + 1 - left) / self._rate if remaining < self._burst else 0.0
        return Standing(rule, remaining, more_after)


class _WindowLevel:
    """What was done within the last period, with the moments at which it leaves.

    As numbers side by side: objects of twenty thousand addresses that come for an hour would take 200 MB.
    """

    __slots__ = ("_limit", "_period", "_step", "_steps", "used")

    def __init__(self) -> None:
        self.used = 0
        self._steps = array("d")  # in turn a moment, and how much leaves then

    def advance(self, rule: Window, now: float) -> None:
        self._limit, self._period, self._step = rule.limit, rule.seconds, rule.step
        while self._steps and self._steps[0] <= now:
            self.used -= int(self._steps[1])
            del self._steps[:2]

    def has_room(self) -> bool:
        return self.used < self._limit

    def add(self, now: float) -> None:
        leaves = (now // self._step + 1) * self._step + self._period
        self.used += 1
        if self._steps and self._steps[-2] >= leaves:
            self._steps[-1] += 1
        else:
            self._steps.extend((leaves, 1))

    @property
    def idle_at(self) -> float:
        return self._steps[-2] if self._steps else 0.0

    def standing(self, rule: Rule, now: float) -> Standing:
        remaining = max(0, self._limit - self.used)
        too_many = self.used - self._limit  # more than 0 where the limit was lowered
        for leaves, count in zip(self._steps[::2], self._steps[1::2], strict=True):
            too_many -= int(count)
            if too_many < 0:
                return Standing(rule, remaining, leaves - now)
        return Standing(rule, remaining, 0.0)


def _decision(
    rules: Sequence[Rule], levels: Sequence[_BucketLevel | _WindowLevel], now: float, *, allowed: bool
) -> Decision:
    standings = tuple([level.standing(rule, now) for rule, level in zip(rules, levels, strict=True)])
    return Decision(allowed, standings)
