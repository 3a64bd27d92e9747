"""Waits until the gateway says that the whole suite is ready, or that a service listens."""

import asyncio
from contextlib import suppress

_POLL = 0.1  # seconds


async def is_ready(host: str, port: int) -> bool:
    """Whether `GET /api/ready` answers 200 now; plain sockets, since the supervisor stays small."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(6):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /api/ready HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readuntil(b"\r\n")
                return status.split()[1:2] == [b"200"]
            finally:
                writer.close()
    return False


async def is_listening(address: str) -> bool:
    """Whether somebody takes connections at `host:port` now."""
    host, _, port = address.rpartition(":")
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(6):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
            writer.close()
            return True
    return False


async def wait_ready(host: str, port: int) -> None:
    """Return once the suite is ready; the caller bounds the time."""
    while not await is_ready(host, port):  # noqa: ASYNC110 (another process has no event to wait for)
        await asyncio.sleep(_POLL)
