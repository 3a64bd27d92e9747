"""How long 500 callers wait who ask for the same album at once, of a real acquisition service: one row, one name."""

import asyncio
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

import tests.support.grpc_without_fork  # noqa: F401 (before grpc)
from libs.crypto import load_root_keys
from libs.rpc.client import open_channel
from tests.support.postgres import run_postgres
from tests.support.suite import Suite, running_suite, suite_environment

_CALLERS = 500
_CHANNELS = 10  # connections that they share
_ROUNDS = 5
_PATIENCE = timedelta(minutes=1)


@dataclass(slots=True)
class _Found:
    """Milliseconds that each call took, how long a round lasted, and what it left behind."""

    waits: list[float] = field(default_factory=list)
    rounds: list[float] = field(default_factory=list)
    names: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def row(self, name: str) -> str:
        """A row of the table."""
        cuts = statistics.quantiles(self.waits, n=100)
        rate = _CALLERS / statistics.median(self.rounds)
        cells = [f"{each:.0f}" for each in (cuts[49], cuts[98], max(self.waits), rate, max(self.rows), max(self.names))]
        return f"| {name} | {' | '.join(cells)} |"


async def measure() -> str:
    """The table, for both databases; fails when two rows are made, or two names are told."""
    lines = [f"| {_CALLERS} identical requests at once | p50, ms | p99, ms | slowest, ms | calls/s | rows | names |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    with run_postgres(durable=True) as server:
        for name, url in (("SQLite, `synchronous=FULL`", None), ("PostgreSQL, fsync", server.url())):
            lines.append((await _measured(url)).row(name))
    return "\n".join(lines) + "\n"


async def _measured(url: str | None) -> _Found:
    with tempfile.TemporaryDirectory() as folder:
        environment = suite_environment(Path(folder), {} if url is None else {"DATABASE_URL": url})
        async with running_suite(environment) as suite, AsyncExitStack() as stack:
            channels = [await stack.enter_async_context(_channel(suite, Path(folder))) for _ in range(_CHANNELS)]
            stubs = [rpc.AcquisitionServiceStub(channel) for channel in channels]
            await stubs[0].PauseAcquisitions(pb.PauseAcquisitionsRequest(reason="nothing is to be acquired"))
            await asyncio.gather(*[_asked(stub, f"Warm-up {number}") for number, stub in enumerate(stubs)])
            found = _Found()
            for number in range(_ROUNDS):
                await _round(stubs, f"Album {number}", found)
    assert set(found.rows) == set(found.names) == {1}, (found.rows, found.names)
    return found


def _channel(suite: Suite, home: Path) -> grpc.aio.Channel:
    token = load_root_keys(home).service_token
    return open_channel(suite.address("acquisition"), credential=token, timeout=_PATIENCE)


async def _round(stubs: list[rpc.AcquisitionServiceStub], title: str, found: _Found) -> None:
    begun = time.monotonic()
    told = await asyncio.gather(*[_asked(stubs[number % len(stubs)], title) for number in range(_CALLERS)])
    found.rounds.append(time.monotonic() - begun)
    found.waits += [1000 * seconds for _, seconds in told]
    found.names.append(len({name for name, _ in told}))
    listed = await stubs[0].ListAcquisitions(pb.ListAcquisitionsRequest(filter=f'title = "{title}"'))
    found.rows.append(len(listed.acquisitions))


async def _asked(stub: rpc.AcquisitionServiceStub, title: str) -> tuple[str, float]:
    """The name that was told, and how many seconds that took."""
    album = pb.Album(artist="The Placeholders", title=title)
    wanted = pb.CreateAcquisitionRequest(acquisition=pb.Acquisition(album=album, source=pb.LIDARR))
    begun = time.monotonic()
    made = await stub.CreateAcquisition(wanted)
    return made.name, time.monotonic() - begun
