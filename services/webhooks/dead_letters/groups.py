"""Groups of dead letters: texts that tell the same once ids and numbers are left out."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.webhooks.domain.dead_letters import SAMPLES, Group, Kind, normalised

Text = tuple[str, str, str, str]
"""Source, type, reason and error, as in `rows.TEXT`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many dead letters have a text, and when the first and the last of them were received."""

    text: Text
    count: int
    first: datetime
    last: datetime


@dataclass(slots=True)
class Gathered:
    """A group as it is gathered. Its newest dead letters have texts among the `newest` few."""

    kind: Kind
    count: int = 0
    first: datetime = datetime.max
    last: datetime = datetime.min
    newest: list[Counted] = field(default_factory=list)

    def add(self, counted: Counted) -> None:
        """One more text of this group."""
        self.first = min(self.first, counted.first) if self.count else counted.first
        self.last = max(self.last, counted.last) if self.count else counted.last
        self.count += counted.count
        self.newest = sorted([*self.newest, counted], key=lambda one: one.last, reverse=True)[:SAMPLES]

    @property
    def position(self) -> tuple[int, str]:
        """The largest group first, then in an order that stays."""
        told = "\0".join((self.kind.source, self.kind.type, self.kind.reason, self.kind.error))
        return -self.count, hashlib.sha256(told.encode()).hexdigest()[:16]

    def with_samples(self, ids: Mapping[Text, Sequence[tuple[datetime, str]]]) -> Group:
        """The group with the newest of the ids that each text has."""
        candidates = [one for counted in self.newest for one in ids.get(counted.text, ())]
        samples = [event_id for _, event_id in sorted(candidates, reverse=True)[:SAMPLES]]
        return Group(kind=self.kind, count=self.count, first=self.first, last=self.last, samples=samples)


def gathered(texts: Iterable[Counted]) -> list[Gathered]:
    """The groups of these texts, the largest first."""
    groups: dict[Kind, Gathered] = {}
    for counted in texts:
        source, type_, reason, error = counted.text
        kind = Kind(source=source, type=type_, reason=reason, error=normalised(error))
        groups.setdefault(kind, Gathered(kind)).add(counted)
    return sorted(groups.values(), key=lambda group: group.position)
