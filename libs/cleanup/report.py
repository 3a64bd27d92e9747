"""What a run of the clean-up did: kept in the database, so that every replica can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, Self

from libs.sql.types import from_millis, millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """How many of one kind were removed, or would be; `problem` is why not all: a word, empty where all were."""

    kind: str
    rule: str
    count: int = 0
    seconds: float = 0.0
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run, for the `day` on which it was due; one with problems is tried again within that day."""

    day: date
    started: datetime
    ended: datetime
    holder: str
    removals: Sequence[Removal]

    @property
    def problems(self) -> Mapping[str, str]:
        """Why which kinds were not all removed."""
        return {each.kind: each.problem for each in self.removals if each.problem}

    @property
    def removed(self) -> Mapping[str, int]:
        """How many were removed, by kind."""
        return {each.kind: each.count for each in self.removals}

    def to_json(self) -> Mapping[str, Any]:
        """As it is kept."""
        times = {"started": millis(self.started), "ended": millis(self.ended)}
        removals = [asdict(each) for each in self.removals]
        return {"date": self.day.isoformat(), **times, "by": self.holder, "removals": removals}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """As it was kept; what only a newer version knows of it is left out."""
        known = {field.name for field in fields(Removal)}
        return cls(
            day=date.fromisoformat(kept["date"]),
            started=from_millis(kept["started"]),
            ended=from_millis(kept["ended"]),
            holder=kept["by"],
            removals=[Removal(**{name: each[name] for name in known & each.keys()}) for each in kept["removals"]],
        )
