"""Opportunistic group commit: what arrives while one commit runs shares the next one. There is no timer.

A caller alone waits for nothing but its own commit; under load the batches grow by themselves.
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from libs.errors import AppError, ResourceExhausted, Unavailable

T = TypeVar("T")
R = TypeVar("R")

_RETRY_AFTER = timedelta(seconds=1)


class TooManyWaiting(ResourceExhausted):
    """More is waiting to be stored than may wait."""

    reason = "TOO_MANY_WAITING"


class Batcher(Generic[T, R]):
    """Hands items to `commit` in batches, in the order they came, one batch after the other.

    `commit` answers one result or error for each item, in order. When it raises an AppError, the batch fails with it;
    when it raises anything else, an item may be poison: the batch is halved until that item fails alone.

    With `shared_out` a batch takes half of those who wait or were just answered: while one half is committed, the other
    reads its answers and comes again. Else callers who once came together stay together, and all of them wait at each
    place on the way.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[T]], Awaitable[Sequence[R | AppError]]],
        *,
        max_items: int,
        max_waiting: int,
        shared_out: bool = False,
    ) -> None:
        self._commit = commit
        self._max_items = max_items
        self._max_waiting = max_waiting
        self._shares = 2 if shared_out else 1
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._flusher: asyncio.Task[None] | None = None
        self._closed = False

    async def submit(self, item: T) -> R:
        """The result for this item, after its commit; a caller that is cancelled does not cancel the commit.

        Raises the item's own error, TooManyWaiting, or Unavailable after `aclose`.
        """
        if self._closed:
            raise Unavailable("shutting down", retry_after=_RETRY_AFTER)
        if len(self._waiting) >= self._max_waiting:
            raise TooManyWaiting(f"{self._max_waiting} requests wait to be stored", retry_after=_RETRY_AFTER)
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._flusher is None:
            # A context of its own: the first caller's request id and span are not those of the others.
            self._flusher = asyncio.create_task(self._flush(), context=contextvars.Context())
        return await answer

    async def aclose(self) -> None:
        """Takes nothing more, and returns when everything that waits is answered."""
        self._closed = True
        while self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def _flush(self) -> None:
        answered = 0
        try:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(self._size(answered))]
                answered = len(batch)
                await self._answer(batch)
        finally:
            self._flusher = None
            while self._waiting:  # only when the loop is torn down
                self._waiting.popleft()[1].cancel()

    def _size(self, answered: int) -> int:
        """Of the next batch, after so many were answered."""
        taking_part = len(self._waiting) + answered
        return min(len(self._waiting), self._max_items, -(-taking_part // self._shares))

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._commit([item for item, _ in batch])
        except AppError as error:
            results = [error] * len(batch)
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is handed to the caller whose item it is
            await self._halve(batch, error)
            return
        for (_, answer), result in zip(batch, results, strict=True):
            if answer.done():  # its caller was cancelled
                continue
            if isinstance(result, AppError):
                answer.set_exception(result)
            else:
                answer.set_result(result)

    async def _halve(self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
        if len(batch) == 1:
            if not batch[0][1].done():
                batch[0][1].set_exception(error)
            return
        middle = len(batch) // 2
        await self._answer(batch[:middle])
        await self._answer(batch[middle:])
