"""When a server last answered in its right mind: who wants to know how it is need not ask it again so soon."""

from datetime import timedelta

from libs.clock import Clock

FRESH = timedelta(minutes=1)


class Heard:
    """Of one server, by its address of the moment: nothing is known of another one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until = 0.0
        self._of: object = None

    def note(self, address: object, *, well: bool) -> None:
        """It answered as it should, or it did not."""
        self._of = address
        self._until = self._clock.monotonic() + FRESH.total_seconds() if well else 0.0

    def is_fresh(self, address: object) -> bool:
        """Whether it answered a moment ago, and nothing failed since."""
        return address == self._of and self._clock.monotonic() < self._until
