"""Ends streams whose caller may not go on: a key that is taken back must not be listened with for days."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from libs.errors import AppError, PermissionDenied, Unauthenticated

PAUSE = timedelta(seconds=2)  # how late it may be noticed


class Standing:
    """Asks once in a while whether the caller of one stream still may; `admit` raises where not.

    It is a context manager around the stream. A refusal takes effect while the stream waits for its next message.
    """

    def __init__(self, admit: Callable[[], object], *, pause: timedelta = PAUSE) -> None:
        self._admit = admit
        self._pause = pause.total_seconds()
        self._refusal: AppError | None = None
        self._waiting: asyncio.Task[object] | None = None

    def __enter__(self) -> "Standing":
        self._later()
        return self

    def __exit__(self, *_: object) -> None:
        self._next.cancel()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Around the wait for a message; raises Unauthenticated or PermissionDenied when the caller may not go on."""
        if self._refusal is not None:
            raise self._refusal
        self._waiting = task = asyncio.current_task()
        assert task is not None  # a call always has one
        try:
            yield
        except asyncio.CancelledError:
            if self._refusal is not None and not task.uncancel():
                raise self._refusal from None
            raise
        finally:
            self._waiting = None

    def _later(self) -> None:
        self._next = asyncio.get_running_loop().call_later(self._pause, self._check)

    def _check(self) -> None:
        try:
            self._admit()
        except (Unauthenticated, PermissionDenied) as error:
            self._refusal = error
            if self._waiting is not None:
                self._waiting.cancel()
            return
        except AppError:  # nobody can tell now: who was let in stays
            pass
        self._later()
