"""`python -m tests.benchmarks.load`: senders on kept connections, in a process of their own.

As little as possible goes around the bytes, because it shares the processors with what is measured.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast
from uuid import uuid4

import uvloop

from tests.support.lidarr_webhooks import download

SECRET = "benchmark-secret"
KEY = "lg_benchmark-key-0123456789"
ALBUM = {
    "artist": "The Placeholders",
    "title": "Lorem Ipsum Dolor Sit Amet",
    "releaseGroupMbid": "b1392450-e666-3926-a536-22c65f834433",
    "year": 1997,
}
WARM_UP = 0.5  # seconds that do not count
_ID = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a run came to: acknowledgements a second, and how long one took, in milliseconds."""

    count: int
    per_second: float
    p50: float
    p99: float


async def offered(url: str, *, connections: int, seconds: float, what: str = "webhook") -> Load:
    """Send to `url` (`host:port`) from a process of its own. Raises AssertionError for anything but what is expected.

    `what` is a `webhook`, or to `get` an acquisition, or to `create` one.
    """
    command = (sys.executable, "-m", __spec__.name, url, str(connections), str(seconds), what)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0, "the senders failed"
    return Load(**json.loads(printed))


Message = Callable[[], bytes]


def _webhook() -> Message:
    """Deliveries that never were before."""
    before, after = json.dumps(download(downloadId=_ID)).split(_ID)
    size = len(before) + len(_ID) + len(after)
    head = f"POST /api/webhooks/lidarr HTTP/1.1\r\nhost: x\r\nx-webhook-secret: {SECRET}\r\n"
    head += f"user-agent: Lidarr/2.14\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    begin, end = (head + before).encode(), after.encode()
    return lambda: begin + uuid4().hex.encode() + end


def _get() -> Message:
    text = f"GET /api/v1/acquisitions/acq-1 HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n\r\n".encode()
    return lambda: text


def _create() -> Message:
    body = json.dumps({"album": ALBUM, "source": "SOULSEEK", "priority": 7})
    head = f"POST /api/v1/acquisitions HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\n"
    text = f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    return lambda: text


# What is sent, and the beginning of the answer that is expected.
_KINDS: dict[str, tuple[Callable[[], Message], bytes]] = {
    "webhook": (_webhook, b"HTTP/1.1 202 "),
    "get": (_get, b"HTTP/1.1 200 "),
    "create": (_create, b"HTTP/1.1 200 "),
}


_ENDS = (b"}", b"\r\n0\r\n\r\n")  # of the JSON that every answer here is, whole or in chunks


class _Senders:
    """What all connections share: the bytes to send, what is measured, and the end."""

    def __init__(self, what: str) -> None:
        make, self.expected = _KINDS[what]
        self.message = make()
        self.seconds: list[float] = []
        self.counting = False
        self.over = asyncio.Event()


class _Connection(asyncio.Protocol):
    def __init__(self, senders: _Senders) -> None:
        self._senders = senders
        self._received = b""
        self._begun = 0.0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is no subclass
        self._send()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._received.endswith(_ENDS):
            return
        if not self._received.startswith(self._senders.expected):
            self._fail(self._received.decode())
            return
        if self._senders.counting:
            self._senders.seconds.append(time.perf_counter() - self._begun)
        if self._senders.over.is_set():
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _fail(self, answer: str) -> None:
        self.ended.set_exception(AssertionError(answer))
        self._transport.close()

    def _send(self) -> None:
        self._received = b""
        self._begun = time.perf_counter()
        self._transport.write(self._senders.message())


async def _run(url: str, connections: int, seconds: float, what: str) -> Load:
    host, _, port = url.rpartition(":")
    senders, loop = _Senders(what), asyncio.get_running_loop()
    opened = [await loop.create_connection(partial(_Connection, senders), host, int(port)) for _ in range(connections)]
    await asyncio.sleep(WARM_UP)
    senders.counting = True
    begun = time.perf_counter()
    await asyncio.sleep(seconds)
    senders.counting, elapsed = False, time.perf_counter() - begun
    senders.over.set()
    await asyncio.gather(*(connection.ended for _, connection in opened))
    return _summary(sorted(senders.seconds), elapsed)


def _summary(sorted_seconds: list[float], elapsed: float) -> Load:
    count = len(sorted_seconds)
    p50, p99 = (1000 * sorted_seconds[int(share * count)] for share in (0.5, 0.99))
    return Load(count=count, per_second=count / elapsed, p50=p50, p99=p99)


if __name__ == "__main__":
    json.dump(asdict(uvloop.run(_run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]))), sys.stdout)
