"""The time that a service is away from a stream: how long to wait before it is asked again, and when to give up."""

import asyncio
import random

from libs.errors import Unavailable

_SHORTEST_WAIT, _LONGEST_WAIT = 0.1, 2.0  # seconds before it is asked again


class Outage:
    """From a service's going to its first message, or to the end of `patience`, in seconds."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._over_at = asyncio.get_running_loop().time() + patience
        self._wait = _SHORTEST_WAIT

    def ended_before(self, opened_at: float) -> bool:
        """Whether a call that was opened then, and told nothing, stood too long for one that never reached anybody."""
        return asyncio.get_running_loop().time() - opened_at > self._patience

    async def pause(self, error: Unavailable) -> None:
        """Wait a while, anything up to a limit that doubles. Raises the error when patience has ended."""
        seconds = self._wait * random.random()  # noqa: S311 - spreads reconnections, guards nothing
        if asyncio.get_running_loop().time() + seconds > self._over_at:
            raise error
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        await asyncio.sleep(seconds)
