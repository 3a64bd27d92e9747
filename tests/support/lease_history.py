"""Checks what several processes did with one lease: nobody shared it, and nothing went back.

All times are of the monotonic clock that the processes of a machine share. A process believes in its lease from the
answer that gave it until 0.9 of its TTL after the request that was confirmed last, until it begins to give it back, or
until it learns that it was lost. What it never heard an answer to, it does not believe, with one exception: who asks
for a shorter time than before has no more than that from the moment of asking.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

BELIEF = 0.9  # of the TTL


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a process did between two moments: `acquired`, `renewing`, `renewed`, `releasing` or `lost`."""

    process: str
    kind: str
    fence: int
    asked: float
    answered: float
    ttl: float = 0.0


@dataclass(slots=True, kw_only=True)
class Hold:
    """For how long a process believed that it held the lease."""

    process: str
    fence: int
    asked: float
    begun: float
    ended: float


@dataclass(slots=True)
class History:
    """Everything that was done: the acts of each process in their order, and the fences of all accepted writes."""

    acts: list[Act] = field(default_factory=list)
    writes: list[int] = field(default_factory=list)

    def violations(self) -> list[str]:
        """What must not have happened; empty when all is well."""
        holds = sorted(holds_of(self.acts), key=lambda hold: hold.begun)
        return [*_overlaps(holds), *_order(holds), *_backwards(self.writes)]


def holds_of(acts: Iterable[Act]) -> list[Hold]:
    """The times of belief. A renewal that was confirmed too late does not bring a belief back."""
    holds: list[Hold] = []
    current: dict[str, Hold] = {}
    for act in acts:
        hold = current.get(act.process)
        if act.kind == "acquired":
            until = act.asked + BELIEF * act.ttl
            hold = Hold(process=act.process, fence=act.fence, asked=act.asked, begun=act.answered, ended=until)
            if hold.begun < hold.ended:
                current[act.process] = hold
                holds.append(hold)
        elif hold is None or hold.fence != act.fence or act.answered >= hold.ended:
            continue
        else:
            hold.ended = _end(hold, act)
    return holds


def _end(hold: Hold, act: Act) -> float:
    until = act.asked + BELIEF * act.ttl
    if act.kind == "renewing":
        return min(hold.ended, until)
    return until if act.kind == "renewed" else act.asked


def _overlaps(holds: Sequence[Hold]) -> list[str]:
    found, last = [], None
    for hold in holds:
        if last is not None and hold.begun < last.ended:
            found.append(f"{hold.process} and {last.process} both held it, under {hold.fence} and {last.fence}")
        if last is None or hold.ended > last.ended:
            last = hold
    return found


def _order(holds: Sequence[Hold]) -> list[str]:
    """Whoever asked after another had got the lease has a higher fence, and no two have the same."""
    found = [
        f"{after.process} got {after.fence} after {before.process} had {before.fence}"
        for before, after in pairwise(holds)
        if before.begun <= after.asked and after.fence <= before.fence
    ]
    fences = [hold.fence for hold in holds]
    return found + [f"the fence {fence} was given out twice" for fence in {*fences} if fences.count(fence) > 1]


def _backwards(writes: Sequence[int]) -> list[str]:
    return [
        f"a write under {after} came after one under {before}" for before, after in pairwise(writes) if after < before
    ]
