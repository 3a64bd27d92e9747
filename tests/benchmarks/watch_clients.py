"""`python -m tests.benchmarks.watch_clients`: readers of server-sent events, in a process of their own.

As little as possible goes around the bytes, because it shares the processors with what is measured.
"""

import asyncio
import json
import re
import sys
import time
from array import array
from dataclasses import asdict, dataclass
from functools import partial
from typing import cast

import uvloop

from tests.benchmarks.load import KEY

_EVENT = re.compile(rb"\nid: (\d+)\.(\d+)\n")
_LONGEST = 64  # bytes of what is looked for
_AT_ONCE = 50  # connections that are opened at once
_PATIENCE = 60.0  # seconds until all have seen an event


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What all watchers saw together: how long events took, in milliseconds, and how many were missed or came twice."""

    per_second: float
    p50: float
    p99: float
    wrong: int


async def watched(url: str, *, watchers: int, seconds: float, alone: bool) -> Watched:
    """Watch `url` (`host:port`) for a while from a process of its own, each by itself when `alone`."""
    command = (sys.executable, "-m", __spec__.name, url, str(watchers), str(seconds), "alone" if alone else "")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0, "the watchers failed"
    return Watched(**json.loads(printed))


class _Audience:
    """What all watchers share."""

    def __init__(self) -> None:
        self.milliseconds = array("d")
        self.counting = False
        self.wrong = 0


class _Watcher(asyncio.Protocol):
    def __init__(self, audience: _Audience, path: str) -> None:
        self._audience = audience
        self._path = path
        self._rest = b""
        self._number = 0
        self.begun = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        head = f"GET {self._path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\naccept: text/event-stream\r\n\r\n"
        cast(asyncio.Transport, transport).write(head.encode())  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        text, end = self._rest + data, 0
        for event in _EVENT.finditer(text):
            self._see(int(event[1]), (now - int(event[2])) / 1e6)
            end = event.end()
        self._rest = text[max(end, len(text) - _LONGEST) :]

    def connection_lost(self, exc: Exception | None) -> None:
        self._audience.wrong += 1

    def _see(self, number: int, milliseconds: float) -> None:
        if not self.begun.done():
            self.begun.set_result(None)
        elif number != self._number + 1:
            self._audience.wrong += 1
        self._number = number
        if self._audience.counting:
            self._audience.milliseconds.append(milliseconds)


async def _run(url: str, watchers: int, seconds: float, alone: bool) -> Watched:
    host, _, port = url.rpartition(":")
    audience, loop = _Audience(), asyncio.get_running_loop()
    paths = [
        f"/api/v1/acquisitions:watch{f'?filter=priority%3D{number}' if alone else ''}" for number in range(watchers)
    ]
    opened: list[_Watcher] = []
    for at in range(0, watchers, _AT_ONCE):
        made = [
            loop.create_connection(partial(_Watcher, audience, path), host, int(port))
            for path in paths[at : at + _AT_ONCE]
        ]
        opened += [watcher for _, watcher in await asyncio.gather(*made)]
    async with asyncio.timeout(_PATIENCE):
        await asyncio.gather(*(watcher.begun for watcher in opened))
    await asyncio.sleep(1)
    audience.counting = True
    await asyncio.sleep(seconds)
    audience.counting = False
    found = sorted(audience.milliseconds)
    p50, p99 = (found[int(share * len(found))] for share in (0.5, 0.99))
    return Watched(per_second=len(found) / seconds, p50=p50, p99=p99, wrong=audience.wrong)


if __name__ == "__main__":
    _, _url, _count, _seconds, _alone = sys.argv
    json.dump(asdict(uvloop.run(_run(_url, int(_count), float(_seconds), bool(_alone)))), sys.stdout)
