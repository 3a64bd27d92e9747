"""Services that are away for as long as a test wants, although the supervisor starts them again and again."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from tests.support.suite import Suite
from tests.support.waiting import eventually


@asynccontextmanager
async def away(suite: Suite, service: str) -> AsyncIterator[None]:
    """SIGKILL a service and hold its port, so that none of its successors gets up before the exit.

    The port is bound but not listened on: who connects is refused, as if nobody were there.
    """
    host, _, port = suite.address(service).rpartition(":")
    with closing(socket.socket()) as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        await suite.kill(service)

        async def held() -> bool:
            try:
                holder.bind((host, int(port)))
            except OSError:
                return False
            return True

        await eventually(held, every=0.01)
        yield
