"""Serves `/metrics` of one service to Prometheus and to the gateway, on a port of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.addresses import AddressTaken, host_and_port
from libs.telemetry.metrics import CONTENT_TYPE, Metrics

OFFSET = 1000  # from the port for gRPC to the port for metrics

_TIMEOUT = 5.0  # seconds for a request to arrive and its answer to leave
_LONGEST_HEAD = 16 * 1024  # bytes
_HIGHEST_PORT = 65535


class MetricsPortTaken(AddressTaken):
    """Nothing can listen on the port for metrics."""

    reason = "METRICS_PORT_TAKEN"


def metrics_address(listen: str) -> tuple[str, int]:
    """Host and port of the metrics of a service that listens on `host:port`: the port + 1000; a free one for 0."""
    host, number = host_and_port(listen)
    return host.strip("[]"), number + OFFSET if 0 < number <= _HIGHEST_PORT - OFFSET else 0


@asynccontextmanager
async def open_exposition(metrics: Metrics, listen: str) -> AsyncIterator[int]:
    """Serves the metrics of a service that listens on `listen`; yields the port. Raises MetricsPortTaken."""
    host, port = metrics_address(listen)
    server = await _start(metrics, host, port)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _start(metrics: Metrics, host: str, port: int) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, metrics))
                await writer.drain()
        except TimeoutError:
            writer.transport.abort()  # who does not read would keep the answer in memory
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # not a request: the connection is closed, and nobody needs to know
        finally:
            writer.close()

    try:
        return await asyncio.start_server(answer, host, port, limit=_LONGEST_HEAD)
    except OSError as error:
        raise MetricsPortTaken(f"{host}:{port}", advice="it is for metrics, 1000 above the port for gRPC") from error


def _response(head: bytes, metrics: Metrics) -> bytes:
    method, target, *_ = (*head.split(b"\r\n", 1)[0].split(b" "), b"", b"")
    if target.partition(b"?")[0] != b"/metrics":
        return _encoded("404 Not Found", b"only /metrics is here\n")
    if method not in (b"GET", b"HEAD"):
        return _encoded("405 Method Not Allowed", b"only GET\n")
    body = metrics.render()
    return _encoded("200 OK", body, CONTENT_TYPE, head_only=method == b"HEAD")


def _encoded(status: str, body: bytes, kind: str = "text/plain; charset=utf-8", *, head_only: bool = False) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if head_only else body)
