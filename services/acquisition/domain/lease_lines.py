"""Who waits for which lease in this process: one line a name, first come, first served."""

import asyncio
from collections.abc import Iterator, Set
from contextlib import contextmanager


class Place:
    """A place in a line. `called` is set whenever its turn may have come."""

    def __init__(self, line: "list[Place]") -> None:
        self._line = line
        self.called = asyncio.Event()

    @property
    def is_first(self) -> bool:
        """Whether nobody stands before it."""
        return self._line[0] is self


class LeaseLines:
    """The lines of all names for which somebody waits."""

    def __init__(self) -> None:
        self._lines: dict[str, list[Place]] = {}

    @property
    def names(self) -> Set[str]:
        """For which somebody waits."""
        return frozenset(self._lines)

    @contextmanager
    def standing(self, name: str) -> Iterator[Place]:
        """Stand at the end of a line; the first calls the next when it leaves."""
        line = self._lines.setdefault(name, [])
        place = Place(line)
        line.append(place)
        try:
            yield place
        finally:
            was_first = place.is_first
            line.remove(place)
            if not line:
                del self._lines[name]
            elif was_first:
                self.call(name)

    def call(self, name: str) -> None:
        """The lease may be free: let the first of the line try."""
        for place in self._lines.get(name, [])[:1]:
            place.called.set()
