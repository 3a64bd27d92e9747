"""Ends streams when the server stops: they would never end by themselves, and calls in flight should have the time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from libs.errors import Unavailable


class Stopping(Unavailable):
    """The server stops: call again, and another one, or the next one, answers."""

    reason = "STOPPING"


class Drain:
    """Knows the streams that wait for their next message."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Task[object]] = set()
        self._stopping = False

    def begin(self) -> None:
        """Every stream ends with Stopping, now if it waits, else after the message that it is sending."""
        self._stopping = True
        for task in self._waiting:
            task.cancel()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Around the wait for a message; raises Stopping when the server stops."""
        if self._stopping:
            raise Stopping("the server is stopping")
        task = asyncio.current_task()
        assert task is not None  # a call always has one
        self._waiting.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if self._stopping and not task.uncancel():
                raise Stopping("the server is stopping") from None
            raise
        finally:
            self._waiting.discard(task)
