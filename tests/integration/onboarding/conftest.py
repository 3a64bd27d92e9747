"""An onboarding on a real database, beside an acquisition and a webhooks service that do what a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as acquisition_rpc
from lockgroove.webhooks.v1 import upkeep_pb2 as upkeep
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as upkeep_rpc

from libs.clock import ManualClock
from libs.crypto import service_token
from libs.errors import AppError
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from services.config import migrations
from services.config.domain.onboarding import Album, Onboarding
from services.config.onboarding.steps import Steps
from services.config.onboarding.store import SqlOnboarding
from services.config.onboarding.worker import OnboardingWorker

TOKEN = service_token(b"onboarding tests root key, long enough")
NAME = "acquisitions/acq-1"
ALBUM = Album(artist="Low", title="Hey What")


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a pretended connection test found."""

    diagnosis: str = "OK"
    message: str = "works"
    advice: str = ""

    @property
    def ok(self) -> bool:
        return self.diagnosis == "OK"


@dataclass
class Acquisitions(acquisition_rpc.AcquisitionServiceServicer):
    """Acquisitions that stand where a test says; each request is made once by its id."""

    state: acquisition.Acquisition.State.ValueType = acquisition.Acquisition.COMPLETED
    failure: acquisition.Failure | None = None
    refusal: AppError | None = None
    paused: bool = False
    switch: acquisition.KillSwitch = field(default_factory=acquisition.KillSwitch)
    requests: list[str] = field(default_factory=list)

    async def CreateAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        if self.refusal:
            raise self.refusal
        self.requests.append(request.request_id)
        return self._now()

    async def GetAcquisition(self, request: Any, context: Any) -> acquisition.Acquisition:
        assert request.name == NAME
        if self.refusal:
            raise self.refusal
        return self._now()

    async def GetKillSwitch(self, request: Any, context: Any) -> acquisition.KillSwitch:
        return self.switch

    def _now(self) -> acquisition.Acquisition:
        progress = acquisition.Progress(received_bytes=1, total_bytes=2)
        return acquisition.Acquisition(
            name=NAME, state=self.state, failure=self.failure, progress=progress, paused=self.paused
        )


@dataclass
class Inbox(upkeep_rpc.UpkeepServiceServicer):
    """A webhooks service whose registration stands where a test says."""

    standing: upkeep.CheckRegistrationResponse.Standing.ValueType = upkeep.CheckRegistrationResponse.GOOD

    async def CheckRegistration(self, request: Any, context: Any) -> upkeep.CheckRegistrationResponse:
        return upkeep.CheckRegistrationResponse(standing=self.standing, message="as it is")


@dataclass
class Bench:
    """An onboarding and all that it looks at."""

    store: SqlOnboarding
    steps: Steps
    worker: OnboardingWorker
    clock: ManualClock
    acquisitions: Acquisitions
    inbox: Inbox
    found: dict[str, Found] = field(default_factory=lambda: {"slskd": Found(diagnosis="NOT_CONFIGURED")})
    tested: list[str] = field(default_factory=list)
    held: asyncio.Event | None = None  # what a look waits for
    fault: Exception | None = None  # what a look fails with

    async def test(self, connection: str) -> Found:
        """Pretends to try a connection."""
        self.tested.append(connection)
        if self.held:
            await self.held.wait()
        if self.fault:
            raise self.fault
        return self.found.get(connection, Found())

    async def is_looking(self) -> bool:
        """Whether a look has begun."""
        return bool(self.tested)

    async def start(self, album: Album | None = ALBUM) -> Onboarding:
        """Begin it, or go on."""
        before = await self.store.get()
        now = self.clock.now()
        begun = before.started(
            album=album, restart=False, request_id=str(UUID(int=before.version)), actor="ann", at=now
        )
        return await self.store.save(begun)

    async def look(self, times: int = 1) -> Onboarding:
        """So many looks; how it stands then."""
        for _ in range(times):
            await self.worker.run_once()
        return await self.store.get()


@pytest.fixture
async def bench(database: Database) -> AsyncIterator[Bench]:
    await migrate(database, package=migrations.__name__, head=migrations.HEAD)
    acquisitions, inbox = Acquisitions(), Inbox()  # type: ignore[abstract] # the rest is never called
    async with AsyncExitStack() as stack:
        first = _server().add(
            acquisitions,
            acquisition_rpc.add_AcquisitionServiceServicer_to_server,
            acquisition.DESCRIPTOR.services_by_name["AcquisitionService"].full_name,
        )
        second = _server().add(
            inbox,
            upkeep_rpc.add_UpkeepServiceServicer_to_server,
            upkeep.DESCRIPTOR.services_by_name["UpkeepService"].full_name,
        )
        channels = []
        for server in (first, second):
            await stack.enter_async_context(server)
            channels.append(await stack.enter_async_context(open_channel(server.address, credential=TOKEN)))
        clock = ManualClock(datetime(2026, 1, 1, 12, tzinfo=UTC))

        async def test(connection: str) -> Found:
            return await made.test(connection)

        steps = Steps(test, acquisition=channels[0], webhooks=channels[1], clock=clock)
        store = SqlOnboarding(database)
        worker = OnboardingWorker(store, steps, clock=clock)
        made = Bench(store, steps, worker, clock, acquisitions, inbox)
        yield made


def _server() -> Server:
    return Server("127.0.0.1:0", authenticator=KeyAuthenticator([TOKEN], lambda: ()))
