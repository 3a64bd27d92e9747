"""What a call carries with it: its id, its deadline and who makes it; set by the server, handed on by the client."""

import time
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar
from datetime import timedelta

from libs.rpc.drain import Drain
from libs.rpc.principal import ANONYMOUS, Principal
from libs.telemetry.correlation import request_id

__all__ = ["deadline", "drain", "interruptible", "principal", "remaining", "request_id", "set_deadline"]

deadline: ContextVar[float | None] = ContextVar("deadline", default=None)  # on time.monotonic()
principal: ContextVar[Principal] = ContextVar("principal", default=ANONYMOUS)
drain: ContextVar[Drain | None] = ContextVar("drain", default=None)


def set_deadline(time_left: timedelta | None) -> None:
    """The call has to be answered within this time from now; None lets it take as long as it needs."""
    deadline.set(None if time_left is None else time.monotonic() + time_left.total_seconds())


def remaining() -> timedelta | None:
    """The time that is left to answer the call, never below zero; None where it has no deadline."""
    end = deadline.get()
    return None if end is None else timedelta(seconds=max(0.0, end - time.monotonic()))


def interruptible() -> AbstractContextManager[None]:
    """Around what a unary call may wait for longer than a server may take to stop; raises Stopping when it stops."""
    server = drain.get()
    return nullcontext() if server is None else server.interruptible()
