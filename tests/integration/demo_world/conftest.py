from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest

from deploy.demo.albums import Album, invent_albums
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld


class OpenNetwork(Protocol):
    async def __call__(self, *plans: PeerPlan) -> SoulseekWorld: ...


@pytest.fixture(scope="session")
def albums() -> tuple[Album, ...]:
    return invent_albums(4)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[OpenNetwork]:
    async with AsyncExitStack() as stack:

        async def open_network(*plans: PeerPlan) -> SoulseekWorld:
            return await stack.enter_async_context(SoulseekWorld(tmp_path / "peers", plans))

        yield open_network
