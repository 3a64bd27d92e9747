"""How streams are written: server-sent events where asked for, else one JSON text a line."""

from collections.abc import Mapping
from typing import Any, Protocol

from libs.errors import Unavailable
from libs.transcoding import jsontext
from libs.transcoding.openapi import EVENTS, NDJSON
from services.gateway.http.preferences import quality
from services.gateway.http.problems import NotAcceptable, problem


class Format(Protocol):
    """How messages become bytes."""

    media_type: str

    def message(self, value: object, token: str) -> bytes:
        """One message; `token` is where the stream stands behind it, or empty."""
        ...

    def heartbeat(self) -> bytes:
        """A sign of life."""
        ...

    def end(self) -> bytes:
        """The end, when all is said."""
        ...

    def interrupted(self) -> bytes:
        """The end, when the client should come back and go on."""
        ...

    def error(self, body: Mapping[str, Any]) -> bytes:
        """The end, when the service failed."""
        ...


class Events:
    """Server-sent events (WHATWG HTML). `error` is the browser's own word, so ours are `rpc-error` and `end`."""

    media_type = EVENTS

    def message(self, value: object, token: str) -> bytes:
        """`id:` lets the browser resume by `Last-Event-ID`."""
        head = f"id: {token}\n".encode() if token and token.isprintable() else b""
        return head + b"data: " + jsontext.dumps(value) + b"\n\n"

    def heartbeat(self) -> bytes:
        """A comment."""
        return b": still here\n\n"

    def end(self) -> bytes:
        """Tells pages to close instead of reconnecting."""
        return b"event: end\ndata: {}\n\n"

    def interrupted(self) -> bytes:
        """Nothing: the browser reconnects by itself."""
        return b""

    def error(self, body: Mapping[str, Any]) -> bytes:
        """The problem as data."""
        return b"event: rpc-error\ndata: " + jsontext.dumps(body) + b"\n\n"


class Lines:
    """One JSON text a line (NDJSON)."""

    media_type = NDJSON

    def message(self, value: object, token: str) -> bytes:
        """One line; the token is in the message itself."""
        return jsontext.dumps(value) + b"\n"

    def heartbeat(self) -> bytes:
        """An empty line, which readers of lines skip."""
        return b"\n"

    def end(self) -> bytes:
        """Nothing: the body ends."""
        return b""

    def interrupted(self) -> bytes:
        """Says that there would be more."""
        return self.error(problem(Unavailable("the gateway is stopping: come back and resume")))

    def error(self, body: Mapping[str, Any]) -> bytes:
        """The last line."""
        return jsontext.dumps({"error": body}) + b"\n"


_EVENTS: Format = Events()
_LINES: Format = Lines()


def format_for(accept: str) -> Format:
    """The format that the header `Accept` prefers: events only where they are named. Raises NotAcceptable."""
    wanted = accept.lower()
    if not wanted.strip():
        return _LINES
    events, lines = (quality(wanted, each, f"{each.partition('/')[0]}/*", "*/*") or 0.0 for each in (EVENTS, NDJSON))
    if events > lines or (events == lines > 0 and quality(wanted, EVENTS)):
        return _EVENTS
    if lines > 0:
        return _LINES
    raise NotAcceptable(f"a stream is sent as {EVENTS} or {NDJSON}, and Accept admits neither")
