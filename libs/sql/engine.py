"""One database of one service: read and write transactions, on SQLite and PostgreSQL alike.

SQLite has two engines: reads are deferred and refuse to write, writes share one connection and begin IMMEDIATE, because
a transaction that reads first and then writes fails at once when somebody else wrote meanwhile. PostgreSQL has a pool,
and one connection beside it for what must never queue behind the rest (heartbeats).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, cast

import orjson
from sqlalchemy import event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.sql.errors import translated
from libs.sql.observation import Observation, Transaction
from libs.sql.trips import connect
from libs.sql.url import place_of
from libs.telemetry import Telemetry

BUSY_TIMEOUT_SECONDS: Final = 30
STALLED_MS = 60_000
"""Then PostgreSQL ends a transaction of a process that is gone without a word: others may wait for its locks."""

_READERS: Final = 4
_POOL: Final = 10
_OURS_ALONE: Final = 0o700  # a new data folder: bodies of webhooks are nobody else's business
_BEFORE_COMMIT: Final = "lockgroove.before_commit"

Action = Callable[[AsyncConnection], Awaitable[None]]


class Database:
    """Where a service keeps its rows.

    Both contexts raise DatabaseUnavailable or StorageFull for faults of the database; IntegrityError passes through,
    for the store that knows what it means.
    """

    def __init__(self, *, read: AsyncEngine, write: AsyncEngine, reserved: AsyncEngine, url: str) -> None:
        self._read = read
        self._write = write
        self._reserved = reserved
        self.url = url
        self.place = place_of(url)
        self._observation: Observation | None = None

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._write.dialect.name

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """One read transaction."""
        async with self._transaction(self._read, "read") as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, *, reserved: bool = False) -> AsyncIterator[AsyncConnection]:
        """One write transaction: committed at the exit, rolled back on an error.

        Never await the outside world in it: on SQLite every other writer waits. `reserved` takes the connection beside
        the pool, for short writes that must not wait behind others.
        """
        engine = self._reserved if reserved else self._write
        async with self._transaction(engine, "write") as connection:
            actions: list[Action] = []
            connection.info[_BEFORE_COMMIT] = actions
            yield connection
            for action in actions:
                await action(connection)

    def observe(self, telemetry: Telemetry) -> None:
        """Counts, times and traces transactions from now on; once."""
        self._observation = Observation(telemetry, self.dialect)
        for engine in dict.fromkeys((self._read, self._write, self._reserved)):
            self._observation.watch(engine)

    async def ping(self) -> None:
        """Asks the database for a sign of life; raises DatabaseUnavailable."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    @asynccontextmanager
    async def _transaction(self, engine: AsyncEngine, mode: str) -> AsyncIterator[AsyncConnection]:
        with Transaction(self._observation, mode) as seen:
            async with AsyncExitStack() as stack:
                with _facts(self.place, SQLAlchemyError, OSError):
                    connection = await stack.enter_async_context(engine.connect())
                seen.connected(connection)
                stack.callback(seen.closing)
                with _facts(self.place, SQLAlchemyError, ConnectionError):
                    async with connection.begin():
                        yield connection


def before_commit(connection: AsyncConnection, action: Action) -> None:
    """Runs an action as the last thing of a `Database.writing()` transaction.

    What takes a lock that many transactions share goes here: it is then held shortest, and taken last by everybody, so
    that no two transactions wait for each other.
    """
    cast(list[Action], connection.info[_BEFORE_COMMIT]).append(action)


@asynccontextmanager
async def open_database(url: str, *, schema: str, wait: float = BUSY_TIMEOUT_SECONDS) -> AsyncIterator[Database]:
    """Opens a database by its URL; on PostgreSQL everything lives in `schema`, which is made when missing.

    A write on SQLite waits for another process as many seconds as `wait` says. Raises DatabaseUnavailable, naming the
    file or server, when it cannot be used.
    """
    engines = _sqlite_engines(url, wait) if url.startswith("sqlite") else _postgresql_engines(url, schema)
    database = Database(read=engines[0], write=engines[1], reserved=engines[2], url=url)
    try:
        await _prepare(database, schema)
        yield database
    finally:
        for engine in dict.fromkeys(engines):
            await engine.dispose()


async def _prepare(database: Database, schema: str) -> None:
    if database.dialect == "sqlite":
        _make_folder(database)
    async with database.writing() as connection:
        if database.dialect == "sqlite":
            await connection.execute(text("SELECT count(*) FROM sqlite_master"))  # reads the file's header
            return
        known = await connection.scalar(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema})
        if not known:
            await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": schema})
            quoted = connection.dialect.identifier_preparer.quote_identifier(schema)
            await connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))


def _make_folder(database: Database) -> None:
    with _facts(database.place, OSError):
        Path(database.url.partition(":///")[2]).parent.mkdir(parents=True, exist_ok=True, mode=_OURS_ALONE)


def _sqlite_engines(url: str, wait: float) -> tuple[AsyncEngine, AsyncEngine, AsyncEngine]:
    arguments = {"isolation_level": None, "timeout": wait, "async_creator_fn": connect}
    write = _engine(url, pool_size=1, connect_args=arguments)
    read = _engine(url, pool_size=_READERS, connect_args=arguments)
    settings = ["foreign_keys = ON", "case_sensitive_like = ON"]  # LIKE as on PostgreSQL
    _on_connect(write, ["journal_mode = WAL", "synchronous = FULL", *settings])
    _on_connect(read, ["query_only = ON", *settings])
    _on_begin(write, "BEGIN IMMEDIATE")
    _on_begin(read, "BEGIN")
    return read, write, write


def _postgresql_engines(url: str, schema: str) -> tuple[AsyncEngine, AsyncEngine, AsyncEngine]:
    settings = {"search_path": f'"{schema}"', "application_name": f"lockgroove.{schema}", "jit": "off"}
    settings["idle_in_transaction_session_timeout"] = str(STALLED_MS)
    arguments = {"timeout": 10, "server_settings": settings}
    pool = _engine(url, pool_size=_POOL, connect_args=arguments)
    return pool, pool, _engine(url, pool_size=1, connect_args=arguments)


def _engine(url: str, *, pool_size: int, connect_args: dict[str, Any]) -> AsyncEngine:
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        connect_args=connect_args,
        json_serializer=lambda document: orjson.dumps(document).decode(),
        json_deserializer=orjson.loads,
    )


def _on_connect(engine: AsyncEngine, pragmas: list[str]) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: Any, record: object) -> None:
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()


def _on_begin(engine: AsyncEngine, statement: str) -> None:
    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)


@contextmanager
def _facts(place: str, *faults: type[Exception]) -> Iterator[None]:
    """Raises the fact behind a fault of the database in place of the driver's error."""
    try:
        yield
    except faults as error:
        if (fact := translated(error, place)) is None:
            raise
        raise fact from error
