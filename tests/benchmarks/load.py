"""`python -m tests.benchmarks.load`: senders on kept connections, in a process of their own.

As little as possible goes around the bytes, because it shares the processors with what is measured.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast
from uuid import uuid4

import uvloop

from tests.support.lidarr_webhooks import download

SECRET = "benchmark-secret"
_WARM_UP = 0.5  # seconds that do not count
_ID = "0123456789abcdef0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a run came to: acknowledgements a second, and how long one took, in milliseconds."""

    count: int
    per_second: float
    p50: float
    p99: float


async def offered(url: str, *, connections: int, seconds: float) -> Load:
    """Deliver to `url` (`host:port`) from a process of its own. Raises AssertionError for anything but a 202."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __spec__.name, url, str(connections), str(seconds)), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, "the senders failed"
    return Load(**json.loads(printed))


class _Senders:
    """What all connections share: the bytes to send, what is measured, and the end."""

    def __init__(self) -> None:
        before, after = json.dumps(download(downloadId=_ID)).split(_ID)
        size = len(before) + len(_ID) + len(after)
        head = f"POST /api/webhooks/lidarr HTTP/1.1\r\nhost: x\r\nx-webhook-secret: {SECRET}\r\n"
        head += f"user-agent: Lidarr/2.14\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
        self._before, self._after = (head + before).encode(), after.encode()
        self.seconds: list[float] = []
        self.counting = False
        self.over = asyncio.Event()

    def message(self) -> bytes:
        """A delivery that never was before."""
        return self._before + uuid4().hex.encode() + self._after


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
        if not self._received.endswith(b"}"):  # of the JSON that every answer here is
            return
        if not self._received.startswith(b"HTTP/1.1 202 "):
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


async def _run(url: str, connections: int, seconds: float) -> Load:
    host, _, port = url.rpartition(":")
    senders, loop = _Senders(), asyncio.get_running_loop()
    opened = [await loop.create_connection(partial(_Connection, senders), host, int(port)) for _ in range(connections)]
    await asyncio.sleep(_WARM_UP)
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
    json.dump(asdict(uvloop.run(_run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))), sys.stdout)
