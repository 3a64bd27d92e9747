"""What ties lines, spans and calls together: the service, the request id and the trace that work belongs to."""

import os
import re
from contextvars import ContextVar
from dataclasses import dataclass

service: ContextVar[str | None] = ContextVar("service", default=None)
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A place in a trace: 32 and 16 hexadecimal digits, and whether somebody records it (W3C Trace Context)."""

    trace_id: str
    span_id: str
    sampled: bool = True

    @classmethod
    def parse(cls, traceparent: str | None) -> "Trace | None":
        """What a `traceparent` says; None where it is absent or wrong."""
        match = _TRACEPARENT.fullmatch(traceparent or "")
        if match is None or not int(match[1], 16) or not int(match[2], 16):
            return None
        return cls(trace_id=match[1], span_id=match[2], sampled=bool(int(match[3], 16) & 1))

    @property
    def traceparent(self) -> str:
        """The header that hands this place on."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    def child(self) -> "Trace":
        """A new place below this one."""
        return Trace(trace_id=self.trace_id, span_id=os.urandom(8).hex(), sampled=self.sampled)


trace: ContextVar[Trace | None] = ContextVar("trace", default=None)


def new_trace() -> Trace:
    """The first place of a new trace."""
    return Trace(trace_id=os.urandom(16).hex(), span_id=os.urandom(8).hex())


def new_request_id() -> str:
    """An id for a request that came without one."""
    return os.urandom(16).hex()


def valid_request_id(sent: str | None) -> str:
    """The id that a caller sent, or a new one where it is absent or not `[A-Za-z0-9._-]{1,64}`."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else new_request_id()
