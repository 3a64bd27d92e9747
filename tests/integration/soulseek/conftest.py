from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from deploy.demo.albums import Album, invent_albums
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from libs.clock import Clock, SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.metrics import SoulseekMetrics
from services.acquisition.soulseek.search_gate import SearchGate
from services.acquisition.soulseek.search_log import MemorySearchLog
from services.acquisition.soulseek.session import SoulseekSession, open_session


class OpenNetwork(Protocol):
    async def __call__(self, *plans: PeerPlan) -> SoulseekWorld: ...


OpenSession = Callable[[Account], AbstractAsyncContextManager[SoulseekSession]]
LogIn = Callable[[SoulseekWorld], AbstractAsyncContextManager[SoulseekSession]]


@pytest.fixture(scope="session")
def albums() -> tuple[Album, ...]:
    return invent_albums(2)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[OpenNetwork]:
    async with AsyncExitStack() as stack:

        async def open_network(*plans: PeerPlan) -> SoulseekWorld:
            return await stack.enter_async_context(SoulseekWorld(tmp_path / "peers", plans))

        yield open_network


def account_on(world: SoulseekWorld, *, password: str = "demo") -> Account:
    return Account(
        server_host=world.host,
        server_port=world.port,
        username="lockgroove",
        password=password,
        listen_host="127.0.0.1",
        listen_port=0,
    )


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def soulseek_metrics(metrics: Metrics) -> SoulseekMetrics:
    return SoulseekMetrics(metrics, SystemClock())


@pytest.fixture
def clock() -> Clock:
    return SystemClock()


@pytest.fixture
def opened(tmp_path: Path, soulseek_metrics: SoulseekMetrics, clock: Clock) -> OpenSession:
    """Opens a session for an account."""

    def open_for(account: Account) -> AbstractAsyncContextManager[SoulseekSession]:
        gate = SearchGate(MemorySearchLog(), clock=clock, gap=timedelta())
        return open_session(account, folder=tmp_path / "unused", gate=gate, metrics=soulseek_metrics, clock=clock)

    return open_for


@pytest.fixture
def log_in(opened: OpenSession) -> LogIn:
    """Opens a session on a world."""
    return lambda world: opened(account_on(world))
