"""A broadcast: one stream of a service, printed once, and the last pieces of it for all who read it.

It is read ahead of the fastest reader by a little, so that the service waits for those who watch, and none of them for
a slower one. A reader that falls behind what is kept has to go on from its token somewhere else.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from google.protobuf.message import Message

from libs.errors import ResourceExhausted
from services.gateway.watching.formats import Format
from services.gateway.watching.upstream import CURSOR, Metadata, Source, Upstream

KEPT = 128  # pieces that are kept, and at most so many bytes of them
KEPT_BYTES = 128 * 1024
AHEAD = 16  # pieces that are read before anybody takes them

_BEGINNING = 1.0  # seconds in which others may join from the beginning
_BURST = 0.08  # seconds since readers were woken within which they are woken again only after
_BREATH = 0.005  # seconds: what has come by then, they send in one write
_WRITE = 32 * 1024  # bytes that a reader takes at once, or one piece
_STILL = 0.03  # seconds without a message after which all that happened has been told


class ReaderTooSlow(ResourceExhausted):
    """What this reader has not taken yet is no longer kept."""

    reason = "READER_TOO_SLOW"


class Piece(NamedTuple):
    """A printed message, and where the stream stands behind it."""

    token: str
    data: bytes


class Listener(Protocol):
    """Who is told that there is something to do."""

    def wake(self) -> None:
        """There is news."""
        ...

    def beat(self) -> None:
        """Nothing was told for a while."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What somebody asked for: `key` is the same for all who may share, `token` where this one wants to go on."""

    source: Source
    form: Format
    request: Message
    metadata: Metadata
    key: tuple[Any, ...]
    token: str

    @classmethod
    def of(cls, source: Source, form: Format, request: Any, metadata: Metadata) -> "Watch":
        """The watch of a request, which becomes its own."""
        token: str = getattr(request, CURSOR, "")
        if token:
            request.ClearField(CURSOR)
        key = (source, form, metadata, request.SerializeToString(deterministic=True))
        return cls(source=source, form=form, request=request, metadata=metadata, key=key, token=token)

    def upstream(self, token: str, *, patience: float) -> Upstream:
        """A stream of the service behind a token."""
        request: Any = type(self.request)()
        request.CopyFrom(self.request)
        if token:
            request.resume_token = token
        return Upstream(self.source, request, self.metadata, patience=patience)


class Broadcast:
    """Begins at once, behind a token or anew; calls `on_told` whenever it has told something.

    When it has become one with another, `successor` is that one, and where it goes on there.
    """

    def __init__(
        self, watch: Watch, token: str, *, patience: float, heartbeat: float, on_told: Callable[[], None]
    ) -> None:
        self.upstream = watch.upstream(token, patience=patience)
        self.listeners: set[Listener] = set()
        self.token = token
        self.error: BaseException | None = None
        self.is_over = False
        self.successor: tuple[Broadcast, int] | None = None
        self._watch = watch
        self._on_told = on_told
        self._pieces: deque[Piece] = deque()
        self._bytes = 0
        self._first = 0  # the number of the oldest piece that is kept
        self._front = 0  # the number up to which the fastest reader has read
        self._places = {token: 0}  # by token, the empty one for the beginning: the number behind its first piece
        self._room: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._opened_at = self._told_at = self._loop.time()
        self._woken_at = 0.0
        self._waking: asyncio.TimerHandle | None = None
        self._heartbeat = heartbeat
        self._beating = self._loop.call_later(heartbeat, self._beat)
        self._task = asyncio.create_task(self._run(), name="broadcast")
        self._task.add_done_callback(self._ended)

    @property
    def end(self) -> int:
        """The number of the next piece."""
        return self._first + len(self._pieces)

    @property
    def is_moving(self) -> bool:
        """Whether it tells things now that lead to tokens."""
        return bool(self.token and self.end) and self._loop.time() - self._told_at < _STILL

    @property
    def is_still(self) -> bool:
        """Whether it has told all that happened, and stands at a token."""
        return bool(self.token and self.end) and not self.is_moving and self._room is None and not self.is_over

    def place(self, token: str) -> int | None:
        """From where to read behind a token, or from the beginning; None where this cannot be said."""
        if self.is_over or (not token and self._loop.time() - self._opened_at > _BEGINNING):
            return None
        return self._places.get(token)

    def behind(self, number: int) -> list[Piece]:
        """What one write should hold from this number on. Raises ReaderTooSlow when that is no longer kept."""
        if number < self._first:
            raise ReaderTooSlow("the stream was read more slowly than it goes: come back and resume")
        found: list[Piece] = []
        size = 0
        for at in range(number - self._first, len(self._pieces)):
            piece = self._pieces[at]
            size += len(piece.data)
            if found and size > _WRITE:
                break
            found.append(piece)
        return found

    def passed(self, number: int) -> None:
        """Somebody has read up to here."""
        self._front = max(self._front, number)
        if self._room is not None and not self._room.done() and self._has_room():
            self._room.set_result(None)

    def become(self, other: "Broadcast") -> None:
        """End, because the other one stands at the same token: what comes is the same. All who listen come along."""
        self.successor = (other, other.end)
        other.listeners |= self.listeners
        self._stop()
        self._wake()

    async def aclose(self) -> None:
        """Cancel the call: nobody listens."""
        self._stop()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        form, show = self._watch.form, self._watch.source.show
        async with aclosing(self.upstream.messages()) as messages:
            async for message, token in messages:
                piece = Piece(token, form.message(show(message), token))
                if not self._is_retold(piece):
                    self._tell(piece)
                await self._until_room()

    def _tell(self, piece: Piece) -> None:
        self._pieces.append(piece)
        self._bytes += len(piece.data)
        if piece.token and piece.token != self.token:
            self._places.pop(piece.token, None)  # they are in order
            self._places[piece.token] = self.end
            self.token = piece.token
        self._forget()
        self._told_at = self._loop.time()
        self._wake_soon()
        self._on_told()

    def _forget(self) -> None:
        while self._first < self._front and (len(self._pieces) > KEPT or self._bytes > KEPT_BYTES):
            self._bytes -= len(self._pieces.popleft().data)
            self._first += 1
            oldest, number = next(iter(self._places.items()), ("", self._first))
            if number < self._first:
                del self._places[oldest]

    def _is_retold(self, piece: Piece) -> bool:
        """Whether a service that came back tells again what it told behind the same token."""
        again = bool(piece.token) and piece.token == self.token == self.upstream.reopened_behind
        return again and piece in self._pieces

    async def _until_room(self) -> None:
        if not self._has_room():
            self._wake()
            self._room = self._loop.create_future()
            try:
                await self._room
            finally:
                self._room = None

    def _has_room(self) -> bool:
        return self.end - self._front < AHEAD

    def _wake_soon(self) -> None:
        """Wake all who read: who has to catch up, or hears much, does so in few writes."""
        if self._loop.time() - self._woken_at > _BURST:
            self._wake()
        elif self._waking is None:
            self._waking = self._loop.call_later(_BREATH, self._wake)

    def _wake(self) -> None:
        self._woken_at = self._loop.time()
        self._rest()
        for listener in self.listeners:
            listener.wake()

    def _beat(self) -> None:
        silence = self._loop.time() - self._told_at
        if silence < self._heartbeat:
            self._beating = self._loop.call_later(self._heartbeat - silence, self._beat)
            return
        self._beating = self._loop.call_later(self._heartbeat, self._beat)
        for listener in self.listeners:
            listener.beat()

    def _rest(self) -> None:
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None

    def _stop(self) -> None:
        self._rest()
        self._beating.cancel()
        self._task.cancel()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            self.is_over, self.error = True, task.exception()
            self._beating.cancel()
            self._wake()
