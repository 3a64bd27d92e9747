"""Our side of a sender, without processes: a real inbox with its database behind HTTP, and what asks the sender."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.loopback_http import HOST, serving
from libs import ids
from libs.clock import SystemClock
from libs.crypto import RootKeys
from libs.crypto.safe import Safe, open_safe
from libs.errors import AppError
from libs.leases.store import SqlLeaseStore
from libs.outbound.http import httpx
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.watermarks import SqlWatermarks
from services.webhooks import tables
from services.webhooks.admission import open_admission
from services.webhooks.domain.backfill import Backfill
from services.webhooks.domain.delivery import Delivery, Header
from services.webhooks.domain.event import Event, NewEvent, Receipt
from services.webhooks.domain.handling import Handling, LidarrHandler, SlskdHandler
from services.webhooks.domain.inbox import Inbox
from services.webhooks.domain.lidarr import LidarrFact
from services.webhooks.domain.processing import Claimed, Processing, Settled
from services.webhooks.events.store import SqlEventStore
from services.webhooks.lidarr.history import LidarrHistory
from services.webhooks.lidarr.keeper import Keeper
from services.webhooks.lidarr.queue import LidarrQueue
from services.webhooks.lidarr.registration import LidarrRegistration
from services.webhooks.lidarr.secret import RegistrationSecret
from services.webhooks.peers import Address, Peer
from services.webhooks.slskd.log import SlskdLog
from services.webhooks.slskd.store import SqlKnownKeys
from services.webhooks.sources.wiring import SourceSlice, open_sources
from services.webhooks.tables import watermark
from tests.support.event_store import QuietLog, always, open_event_store

AFAR = "192.0.2.7"  # so that deliveries need their credential (RFC 5737)
CLOCK = SystemClock()
ROOTS = RootKeys(current=b"root key of these tests, long enough")
ACQUISITION = "acquisitions/acq-1"


@dataclass
class Told:
    """Acquisitions that remember what they were told, once for each event."""

    facts: dict[str, LidarrFact] = field(default_factory=dict)

    async def report(self, event_id: str, fact: LidarrFact) -> tuple[str, ...]:
        self.facts[event_id] = fact
        return (ACQUISITION,)

    def kinds(self) -> list[str]:
        return [fact.kind for fact in self.facts.values()]


@dataclass
class SenderNotes:
    """What was counted."""

    is_registered: bool | None = None
    brought_in: list[str] = field(default_factory=list)

    def registered(self, source: str, registered: bool) -> None:
        self.is_registered = registered

    def backfilled(self, source: str, event_type: str) -> None:
        self.brought_in.append(event_type)


class QuietProcessing:
    """Counts nothing."""

    def settled(self, settled: Settled) -> None: ...

    def lost(self, settled: Settled) -> None: ...

    def broken(self, claimed: Claimed, error: BaseException) -> None:
        raise error


class Station:
    """Our side: `answers` is the status for every delivery instead of the real one; the levers are plain attributes."""

    def __init__(
        self, database: Database, safe: Safe, store: SqlEventStore, sources: SourceSlice, http: httpx.AsyncClient
    ) -> None:
        self.database, self.safe, self.store, self.sources, self.http = database, safe, store, sources, http
        self.told, self.notes = Told(), SenderNotes()
        self.repairs: list[str] = []
        self.lidarr_address: Address | None = None
        self.slskd_address: Address | None = None
        self.secret = ""
        self.public_url: str | None = None
        self.answers: int | None = None
        self.remote_address = AFAR
        self.seems_up = True
        self.storing: AppError | None = None
        self.inbox: Inbox
        handling = Handling({"lidarr": LidarrHandler(self.told), "slskd": SlskdHandler()})
        self.processing = Processing(store, handling, log=QuietProcessing(), clock=CLOCK, chance=lambda: 0.0)
        self.watermarks = SqlWatermarks(database, watermark)

    @property
    def url(self) -> str | None:
        """Where Lidarr delivers."""
        return None if self.public_url is None else f"{self.public_url}/api/webhooks/lidarr"

    def peer(self) -> Peer:
        return Peer(self.http, name="Lidarr", prefix="/api/v1", address=lambda: self.lidarr_address, clock=CLOCK)

    def registration(self) -> LidarrRegistration:
        """What one replica registers with."""

        async def answers(url: str) -> bool:
            return self.seems_up

        async def repaired(text: str) -> None:
            self.repairs.append(text)

        secret = RegistrationSecret(
            self.database, self.safe, configured=lambda: self.secret, new_id=lambda: ids.new("sec")
        )
        leases = SqlLeaseStore(self.database, tables.lease)
        return LidarrRegistration(
            self.peer(), leases, secret, url=lambda: self.url, answers=answers, repaired=repaired, clock=CLOCK
        )

    def history(self, *, settling: timedelta = timedelta()) -> LidarrHistory:
        """The gap to Lidarr's history."""
        return LidarrHistory(
            self.peer(), self._backfill("lidarr"), self.store, self.watermarks, clock=CLOCK, settling=settling
        )

    def queue(self) -> LidarrQueue:
        """The gap to Lidarr's queue."""
        return LidarrQueue(
            self.peer(), self._backfill("lidarr"), self.store, self.watermarks, clock=CLOCK, settling=timedelta()
        )

    def keeper(self) -> Keeper:
        """The loop that looks after Lidarr."""
        return Keeper(self.peer(), self.registration(), [self.history(), self.queue()], log=self.notes)

    def slskd_log(self, *, settling: timedelta = timedelta()) -> SlskdLog:
        """The gap to slskd's log."""
        peer = Peer(self.http, name="slskd", prefix="/api/v0", address=lambda: self.slskd_address, clock=CLOCK)
        keys = SqlKnownKeys(self.database)
        return SlskdLog(peer, self._backfill("slskd"), keys, self.watermarks, settling=settling)

    async def backfill(self, events: list[NewEvent]) -> list[Receipt]:
        """The door, which a test may close."""
        if self.storing is not None:
            raise self.storing
        return await self.inbox.backfill(events)

    async def handle(self) -> None:
        """Let all that came in take effect."""
        while await self.processing.run_once():
            pass

    async def events(self, *types: str) -> list[Event]:
        """The events of these types, or all, oldest first."""
        statement = select(tables.event.c.id).order_by(tables.event.c.id)
        async with self.database.reading() as connection:
            found = list(await connection.scalars(statement))
        events = [await self.store.get(event_id) for event_id in found]
        return [event for event in events if not types or event.type in types]

    async def receive(self, request: Request) -> Response:
        """As the gateway does."""
        body = await request.body()
        if self.answers is not None:
            return Response(status_code=self.answers)
        headers = tuple(Header(name=name.lower(), value=value) for name, value in request.headers.items())
        delivery = Delivery(
            source=request.path_params["source"],
            headers=headers,
            body=body,
            received_at=datetime.now(UTC),
            remote_address=self.remote_address,
        )
        [outcome] = await self.inbox.ingest([delivery])
        if isinstance(outcome, AppError):
            return JSONResponse({"reason": outcome.code_reason}, 401)
        return JSONResponse({"eventId": outcome.event_id, "duplicate": outcome.duplicate}, 202)

    def _backfill(self, source: str) -> Backfill:
        door = _Door(self)
        return Backfill(door, source=source, clock=CLOCK, new_id=lambda: ids.new("evt"), log=self.notes)


@dataclass
class _Door:
    station: Station

    async def backfill(self, events: object) -> list[Receipt]:
        assert isinstance(events, list)
        return await self.station.backfill(events)


@asynccontextmanager
async def open_station(database: Database) -> AsyncIterator[Station]:
    """The inbox, listening on loopback."""
    async with AsyncExitStack() as stack:
        store = await open_event_store(database)
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        station: Station

        def configured(source: str) -> str:
            return station.secret if source == "lidarr" else ""

        safe = await open_safe(database, tables.data_key, ROOTS)
        sources = await open_sources(
            database, safe, PageTokens(b"page tokens of tests"), settings_secret=configured, log=QuietLog()
        )
        station = Station(database, safe, store, sources, http)
        admission = await stack.enter_async_context(open_admission(store, committed=lambda _: None))
        station.inbox = Inbox(admission, sources.registry, ready=always, log=QuietLog(), new_id=lambda: ids.new("evt"))
        app = Starlette(routes=[Route("/api/webhooks/{source}", station.receive, methods=["POST"])])
        port = await stack.enter_async_context(serving(app))
        station.public_url = f"http://{HOST}:{port}"
        yield station
        await asyncio.sleep(0)
