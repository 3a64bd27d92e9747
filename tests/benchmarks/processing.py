"""How many stored webhooks a second take effect: claimed, told to a real acquisition service, and settled."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import grpc
import psutil
from sqlalchemy import insert

from libs import ids
from libs.clock import SystemClock
from libs.crypto import load_root_keys
from libs.rpc.client import open_channel
from libs.sql.engine import Database, open_database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from libs.sql.url import database_url
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from services.acquisition import tables as acquisition_tables
from services.webhooks import migrations
from services.webhooks.acquisition import GrpcAcquisitions
from services.webhooks.domain.event import NewEvent
from services.webhooks.domain.handling import Handling, LidarrHandler
from services.webhooks.domain.processing import Claimed, Processing, Settled
from services.webhooks.events.store import SqlEventStore
from services.webhooks.tables import work
from services.webhooks.worker import Worker
from tests.support.lidarr_webhooks import album, download, encode
from tests.support.postgres import run_postgres
from tests.support.suite import Suite, running_suite, suite_environment

_EVENTS = 6_400
_ALBUMS = 200  # acquisitions that wait for Lidarr, of which each event is about one
_COMMIT = 64


class _Quiet:
    """Counts what could not be told."""

    def __init__(self) -> None:
        self.states: dict[str, int] = {}

    def settled(self, settled: Settled) -> None:
        state = settled.settlement.state.value
        self.states[state] = self.states.get(state, 0) + 1

    def lost(self, settled: Settled) -> None:
        raise AssertionError(settled)

    def broken(self, claimed: Claimed, error: BaseException) -> None:
        raise error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rate:
    """Events a second, and milliseconds of processor for each: of this process, and of the acquisition service."""

    rate: float
    here: float
    there: float


async def measure() -> str:
    """The table: both databases, for events that reach an acquisition and for such that nobody waits for."""
    rows = [
        "| processing, 64 a pass | events a second (target) | CPU here, ms each | CPU of acquisition, ms each |",
        "| --- | --- | --- | --- |",
    ]
    with run_postgres() as server:
        for name, url in (("SQLite, `synchronous=FULL`", None), ("PostgreSQL, fsync", server.url())):
            reached, unmatched = await _measure(url)
            rows.append(_row(f"{name}, each reaches an acquisition", reached))
            rows.append(_row(f"{name}, nobody waits", unmatched))
    return "\n".join(rows) + "\n"


def _row(name: str, rate: _Rate) -> str:
    return f"| {name} | {rate.rate:.0f} (1000) | {rate.here:.2f} | {rate.there:.2f} |"


async def _measure(url: str | None) -> tuple[_Rate, _Rate]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = suite_environment(home, {} if url is None else {"DATABASE_URL": url})
        async with running_suite(environment) as suite, _channel(suite, home) as channel:
            await _let_acquisitions_wait(suite, home, url)
            reached = await _processed(suite, channel, home, url, about=lambda n: 1 + n % _ALBUMS)
            unmatched = await _processed(suite, channel, home, url, about=lambda n: 1_000_000 + n)
            return reached, unmatched


@asynccontextmanager
async def _channel(suite: Suite, home: Path) -> AsyncIterator[grpc.aio.Channel]:
    token = load_root_keys(home).service_token
    async with open_channel(suite.address("acquisition"), credential=token) as channel:
        yield channel


async def _let_acquisitions_wait(suite: Suite, home: Path, url: str | None) -> None:
    """Acquisitions that Lidarr works on: made through the API, and put where their worker would have brought them."""
    async with open_database(
        database_url(home=home, service="acquisition", configured=url), schema="lockgroove_acquisition"
    ) as database:
        await SqlWorkStore(database, acquisition_tables.engine).pause("lidarr", True)  # no Lidarr is there to ask
        for number in range(1, _ALBUMS + 1):
            title = {"artist": "The Placeholders", "title": f"Album {number}"}
            name = (await suite.request(album=title, source="LIDARR"))["name"]
            await _wait_for_lidarr(database, name.removeprefix("acquisitions/"), number)


async def _wait_for_lidarr(database: Database, acquisition_id: str, number: int) -> None:
    tables = acquisition_tables
    now = datetime.now(UTC)
    running = {"acquisition": acquisition_id, "number": 1, "source": "LIDARR", "state": "RUNNING", "started": now}
    running |= dict.fromkeys(("peer", "reason", "error"), "")
    running |= dict.fromkeys(("received_bytes", "total_bytes", "finished_count", "total_count"), 0)
    bound = {"acquisition": acquisition_id, "album_id": number, "release_group_mbid": str(UUID(int=number))}
    async with database.writing() as connection:
        await connection.execute(insert(tables.attempt), running)
        await connection.execute(insert(tables.lidarr_album), bound)


async def _processed(
    suite: Suite, channel: grpc.aio.Channel, home: Path, url: str | None, *, about: Callable[[int], int]
) -> _Rate:
    """Stores events in an inbox of its own, and measures until each has been handled once."""
    schema = ids.new("bench")
    place = database_url(home=home, service=schema, configured=url)
    async with open_database(place, schema=schema) as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        outbox = SqlOutbox(database, work, chain_key=b"benchmark")
        store = SqlEventStore(database, PageTokens(b"benchmark"), outbox=outbox)
        for start in range(0, _EVENTS, _COMMIT):
            await store.add([_event(about(number)) for number in range(start, start + _COMMIT)])
        log = _Quiet()
        handling = Handling({"lidarr": LidarrHandler(GrpcAcquisitions(channel))})
        processing = Processing(store, handling, log=log, clock=SystemClock(), chance=random.random)
        return await _timed(suite, processing, log)


async def _timed(suite: Suite, processing: Processing, log: _Quiet) -> _Rate:
    here, there = psutil.Process(), psutil.Process(suite.pid("acquisition"))
    cpu, begun = (_used(here), _used(there)), time.monotonic()
    worker = asyncio.create_task(Worker(processing, handled=lambda: None).run())
    while sum(log.states.values()) < _EVENTS and not worker.done():
        await asyncio.sleep(0.01)
    seconds = time.monotonic() - begun
    worker.cancel()
    await asyncio.wait([worker])
    assert set(log.states) <= {"DONE", "UNMATCHED"}, log.states
    mine, theirs = (
        1000 * (_used(process) - before) / _EVENTS for process, before in zip((here, there), cpu, strict=True)
    )
    return _Rate(rate=_EVENTS / seconds, here=mine, there=theirs)


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _event(number: int) -> NewEvent:
    key = ids.new("key")
    mbid = str(UUID(int=number))
    return NewEvent(
        id=ids.new("evt"),
        source="lidarr",
        type="Download",
        key=key,
        headers={"content-type": "application/json"},
        body=encode(download(album=album(number, mbid), downloadId=key)),
        received_at=datetime.now(UTC),
        order_key=f"download:{key}",
    )
