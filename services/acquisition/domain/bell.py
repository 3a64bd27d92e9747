"""A hint within the process that something changed; polling stays the truth."""

import asyncio


class Bell:
    """Whoever listens hears the next ring."""

    def __init__(self) -> None:
        self._rung: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """Wake everybody who listens now."""
        if self._rung is not None:
            self._rung.set_result(None)
            self._rung = None

    async def heard(self, timeout: float) -> None:
        """Wait for the next ring, or for so many seconds."""
        if self._rung is None:
            self._rung = asyncio.get_running_loop().create_future()
        await asyncio.wait({self._rung}, timeout=timeout)
