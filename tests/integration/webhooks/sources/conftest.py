"""One service on each database for all tests of a module: each test has its own sources."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from libs import ids
from tests.integration.webhooks.sources.door import (
    Door,
    open_door,
)
from tests.support.postgres import Postgres
from tests.support.webhook_peers import running_peers


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def doors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> AsyncIterator[Door]:
    """One service for all tests: each has its own sources."""
    home, name = tmp_path_factory.mktemp("sources"), ids.new("test")
    database = None
    if request.param == "postgresql":
        postgres.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        database = postgres.url(name)
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running_peers())
        yield await open_door(stack, home, database, peers)
    if database is not None:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
