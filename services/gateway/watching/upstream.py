"""A stream of a service as watchers hear it: opened again behind its last message when the service goes away."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from libs.errors import Unavailable
from libs.rpc.outage import Outage
from libs.telemetry.logger import get_logger

log = get_logger()

CURSOR = "resume_token"  # a field by convention: where a stream stands, in messages and in the request
PATIENCE = 30.0  # seconds for a service to come back

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Source:
    """A streaming method: how it is called, and how its messages become JSON values. Made once a method."""

    name: str
    call: Callable[[Message, Metadata], AsyncGenerator[Message]]
    show: Callable[[Message], object]


class Upstream:
    """One watched request, which becomes its own. Each message comes with where the stream stands behind it, or ""."""

    def __init__(self, source: Source, request: Any, metadata: Metadata, *, patience: float) -> None:
        self._source = source
        self._request = request
        self._metadata = metadata
        self._patience = patience
        self._has_cursor = CURSOR in request.DESCRIPTOR.fields_by_name
        self._told = False
        self.is_heard = False  # whether anybody has begun to listen: before, a failure is a real status
        self.reopened_behind = ""  # where the stream stood when it was opened again

    async def messages(self) -> AsyncGenerator[tuple[Message, str]]:
        """All of them, to the end. Raises AppError, and Unavailable once patience has ended."""
        outage: Outage | None = None
        while True:
            opened_at = asyncio.get_running_loop().time()
            try:
                async with aclosing(self._source.call(self._request, self._metadata)) as answers:
                    async for answer in answers:
                        outage = None
                        yield answer, self._note(answer)
                return
            except Unavailable as error:
                if not self._may_resume:
                    raise
                if outage is None or outage.ended_before(opened_at):
                    outage = Outage(self._patience)
                    log.info("stream.lost", method=self._source.name)
                await outage.pause(error)
                self.reopened_behind = self._request.resume_token

    @property
    def _may_resume(self) -> bool:
        """Whether the same request, or the last token, leads exactly to where the stream stands."""
        return self.is_heard and self._has_cursor and (bool(self._request.resume_token) or not self._told)

    def _note(self, answer: Message) -> str:
        """The token of a message; kept in the request, so that it is always ready to be sent again."""
        token: str = getattr(answer, CURSOR, "")
        self._told = True
        if self._has_cursor:
            self._request.resume_token = token
        return token
