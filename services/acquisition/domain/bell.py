"""A hint within the process that something changed; polling stays the truth."""

import asyncio
from collections.abc import Callable


class Bell:
    """Whoever listens hears the next ring."""

    def __init__(self) -> None:
        self._rung: asyncio.Future[None] | None = None
        self._callbacks: list[Callable[[], None]] = []
        self.rings = 0

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call it at every ring."""
        self._callbacks.append(callback)

    def ring(self) -> None:
        """Wake everybody who listens now."""
        self.rings += 1
        rung, self._rung = self._rung, None
        if rung is not None:
            rung.set_result(None)
        for callback in self._callbacks:
            callback()

    async def heard(self, timeout: float, *, after: int | None = None) -> None:
        """Wait for the next ring, or for so many seconds; not at all when there are more `rings` than `after`."""
        if after is not None and self.rings != after:
            return
        if self._rung is None:
            self._rung = asyncio.get_running_loop().create_future()
        await asyncio.wait({self._rung}, timeout=timeout)
