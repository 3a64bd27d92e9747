"""How long a batch is waited for: by idleness on a clock that stands still while nobody looks, never by total time."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

LATE = timedelta(minutes=5)  # by which a look may come later than promised and still count wholly


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long nothing may move in a batch before what is left of it is given up.

    `with_some` and `with_none` are for a batch of which something is in the library, or nothing is; `in_line` is for
    one of which all that is left still waits for its first step. A library that cannot be read, or in which a file is
    missing, is looked at once more after `rescan`, and given up after `scan`.
    """

    in_line: timedelta = timedelta(hours=2)
    with_some: timedelta = timedelta(minutes=30)
    with_none: timedelta = timedelta(minutes=60)
    rescan: timedelta = timedelta(minutes=10)
    scan: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """For how long the same was seen: `mark` is what, `seen` when it was last looked at, `delay` until the next look.

    Time in which nobody looked as promised (everything was paused, the service was down, the clock was set) counts as
    little more than one delay: it says nothing about what is watched.
    """

    mark: str = ""
    idle: timedelta = timedelta()
    seen: datetime | None = None
    delay: timedelta = timedelta()

    def looked(self, mark: str, at: datetime, *, stands: bool = False) -> "Watch":
        """The same after one more look. With `stands` the time since the last one does not count."""
        if mark != self.mark or self.seen is None:
            return Watch(mark=mark, seen=at)
        passed = min(max(at - self.seen, timedelta()), self.delay + LATE)
        return replace(self, seen=at, idle=self.idle if stands else self.idle + passed)

    def until(self, delay: timedelta) -> "Watch":
        """The same, with the next look so much later."""
        return replace(self, delay=delay)

    def to_json(self) -> dict[str, Any]:
        """The watch as plain JSON values."""
        return {
            "mark": self.mark,
            "idle": self.idle.total_seconds(),
            "seen": None if self.seen is None else self.seen.isoformat(),
            "delay": self.delay.total_seconds(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any] | None) -> "Watch":
        """The watch that `to_json` wrote; nothing is a new one."""
        if not data:
            return cls()
        return cls(
            mark=data["mark"],
            idle=timedelta(seconds=data["idle"]),
            seen=None if data["seen"] is None else datetime.fromisoformat(data["seen"]),
            delay=timedelta(seconds=data["delay"]),
        )
