"""Claims whose events cannot be read."""

from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.engine import Database
from libs.sql.errors import DatabaseUnavailable
from tests.support.event_store import open_event_store
from tests.support.events import claimed, stored


def away(database: Database) -> AbstractAsyncContextManager[AsyncConnection]:
    raise DatabaseUnavailable("all connections are busy")


async def test_claims_are_given_back_and_count_as_no_crash(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await open_event_store(database)
    event_id = await stored(store)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "reading", away)
        with pytest.raises(DatabaseUnavailable):
            await claimed(store)

    [claim] = await claimed(store)

    assert (claim.event.id, claim.crashes) == (event_id, 0)


async def test_work_on_an_event_that_is_not_there_stops_no_other(database: Database) -> None:
    store = await open_event_store(database)
    await stored(store, "lost")
    async with database.writing() as connection:
        await connection.exec_driver_sql("DELETE FROM event")
    event_id = await stored(store)

    assert [claim.event.id for claim in await claimed(store)] == [event_id]
