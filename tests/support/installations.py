"""Installations without processes: a data folder with its root key, and the databases of all services with rows."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.crypto.rootkey import load_root_keys
from libs.crypto.safe import open_safe
from libs.sql.engine import Database, open_database
from libs.sql.url import database_url
from services.acquisition.tables import call_slot, soulseek_search
from services.config.tables import data_key as config_keys
from services.config.tables import setting
from services.webhooks.tables import data_key as webhooks_keys
from services.webhooks.tables import event, event_body
from services.webhooks.upkeep.partitions import name_of
from tests.support.new_home import make_schema, move_in
from tests.support.ports import free_ports

NOW = datetime(2026, 5, 31, tzinfo=UTC)
LONG_AGO = 20000  # a day that no migration makes a partition for

_SERVICES = ("config", "webhooks", "acquisition")


class Installed:
    """One of them; `environment` is what its commands get."""

    def __init__(self, home: Path, database: str | None, **extra: str) -> None:
        self.home, self.database = home, database
        config, webhooks, acquisition = free_ports(3)
        self.environment = {
            "LOCKGROOVE_HOME": str(home),
            "LOCKGROOVE_CONFIG_LISTEN": f"127.0.0.1:{config}",
            "LOCKGROOVE_WEBHOOKS_LISTEN": f"127.0.0.1:{webhooks}",
            "LOCKGROOVE_ACQUISITION_LISTEN": f"127.0.0.1:{acquisition}",
            **({"DATABASE_URL": database} if database else {}),
            **extra,
        }

    @asynccontextmanager
    async def open(self, service: str) -> AsyncIterator[Database]:
        """The database of a service."""
        url = database_url(home=self.home, service=service, configured=self.database)
        async with open_database(url, schema=f"lockgroove_{service}") as database:
            yield database

    async def make_keys(self) -> None:
        """Makes the root key, and data keys sealed under it, as the first start does."""
        roots = load_root_keys(self.home)
        for service, table in (("config", config_keys), ("webhooks", webhooks_keys)):
            async with self.open(service) as database:
                await open_safe(database, table, roots)

    async def write(self, word: str) -> None:
        """Leaves a word in every database."""
        async with self.open("config") as database, database.writing() as connection:
            await connection.execute(insert(setting).values(path=word, value=word, updated_at=NOW))
        async with self.open("webhooks") as database, database.writing() as connection:
            await _store_event(connection, word)
        async with self.open("acquisition") as database, database.writing() as connection:
            await connection.execute(insert(call_slot).values(provider=word, next=NOW))
            await connection.execute(insert(soulseek_search).values(sent=NOW))

    async def words(self) -> Mapping[str, list[str]]:
        """The words in each database."""
        columns = {"config": setting.c.path, "webhooks": event_body.c.event_id, "acquisition": call_slot.c.provider}
        found = {}
        for service, column in columns.items():
            async with self.open(service) as database, database.reading() as connection:
                found[service] = list(await connection.scalars(select(column).order_by(column)))
        return found

    async def hold(self, *words: str) -> bool:
        """Whether every database holds these words, and no others."""
        return await self.words() == {service: sorted(words) for service in _SERVICES}


async def installed(home: Path, database: str | None = None, **extra: str) -> Installed:
    """One with its schemas, keys, and the word `old`."""
    if database is None:
        await move_in(home)
    else:
        home.mkdir(parents=True, exist_ok=True)
        for service in _SERVICES:
            await make_schema(service, home=home, configured=database)
    made = Installed(home, database, **extra)
    await made.make_keys()
    await made.write("old")
    return made


async def _store_event(connection: AsyncConnection, word: str) -> None:
    if connection.dialect.name == "postgresql":
        bounds = f"FOR VALUES FROM ({LONG_AGO}) TO ({LONG_AGO + 1})"
        name = name_of(LONG_AGO)
        await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF event_body {bounds}"))
    row = {"source": "lidarr", "type": "Test", "dedup_key": word, "body_size": 4, "duplicates": 0}
    await connection.execute(insert(event).values(id=word, received_at=NOW, updated_at=NOW, stored_on=LONG_AGO, **row))
    body = {"headers": {"a": "ä\t\n\\"}, "body": bytes(range(256))}
    await connection.execute(insert(event_body).values(stored_on=LONG_AGO, event_id=word, **body))
