"""The databases answer, are of a release that this one can work with, and open with the root key that is known."""

from importlib import import_module

from sqlalchemy import Table, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from deploy.cli.environment.finding import Environment, Finding, error, errors, warning
from deploy.cli.environment.keys import known_root_keys
from deploy.cli.environment.reading import SERVICES, reading
from libs.clock import Clock, SystemClock
from libs.crypto.datakeys import Wrapping
from libs.crypto.keyring import Tampered, WrongKey
from libs.errors import AppError
from libs.sql.migrations import revision

OLDEST_POSTGRESQL = 140000
ENOUGH_CONNECTIONS = 50  # the services take up to 33, and somebody wants to look
TOLERATED = 2.0  # seconds by which clocks may differ

_KEEPERS = ("config", "webhooks")  # keep data keys

_SERVER = text(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS named,"
    " current_setting('max_connections')::int AS connections, pg_is_in_recovery() AS standby,"
    " has_database_privilege(current_database(), 'CREATE') AS may_create,"
    " (SELECT count(*) FROM pg_namespace WHERE nspname IN"
    " ('lockgroove_config', 'lockgroove_webhooks', 'lockgroove_acquisition')) AS schemas,"
    " extract(epoch FROM clock_timestamp())::float AS now"
)


async def databases(environment: Environment) -> list[Finding]:
    """What is wrong with the schema of any service, each looked at by itself."""
    found: list[Finding] = []
    for service in SERVICES:
        try:
            async with reading(environment, service) as connection:
                if connection is not None:
                    found += await _schema(connection, service)
        except AppError as fault:
            found += errors(fault, _subject(environment))
    return list(dict.fromkeys(found))  # one server that is away is told once


async def server(environment: Environment) -> list[Finding]:
    """What is wrong with the PostgreSQL that DATABASE_URL names."""
    if not environment.get("DATABASE_URL"):
        return []
    try:
        async with reading(environment, "config") as connection:
            return [] if connection is None else await _server(connection, SystemClock())
    except AppError:
        return []  # told by `databases`


async def sealed(environment: Environment) -> list[Finding]:
    """Whether the root keys that are known open what the databases keep."""
    try:
        roots = known_root_keys(environment)
    except AppError:
        return []  # told by `root_key`
    wrapping = Wrapping(roots) if roots else None
    found: list[Finding] = []
    for service in _KEEPERS:
        try:
            async with reading(environment, service) as connection:
                if connection is not None:
                    found += await _keys(connection, service, wrapping)
        except AppError:
            continue  # told by `databases`
    return found


async def _schema(connection: AsyncConnection, service: str) -> list[Finding]:
    head = import_module(f"services.{service}.migrations").HEAD
    at = await revision(connection)
    if at > head:
        text = f"its schema ({at}) is of a newer release than this one ({head}): it works, if that is one release only"
        return [warning(f"the database of {service}", text)]
    return []


async def _server(connection: AsyncConnection, clock: Clock) -> list[Finding]:
    before = clock.now().timestamp()
    told = (await connection.execute(_SERVER)).mappings().one()
    now = clock.now().timestamp()
    found = []
    if told["version"] < OLDEST_POSTGRESQL:
        found.append(
            error("DATABASE_URL", f"is PostgreSQL {told['named']}: 14 is the oldest that the suite works with")
        )
    if told["standby"]:
        found.append(error("DATABASE_URL", "is a standby, where nothing can be written: name the primary"))
    if not told["may_create"] and told["schemas"] < len(SERVICES):
        found.append(error("DATABASE_URL", "its user may not make schemas: GRANT CREATE ON DATABASE, or make them"))
    if told["connections"] < ENOUGH_CONNECTIONS:
        found.append(warning("DATABASE_URL", f"max_connections is {told['connections']}: take {ENOUGH_CONNECTIONS}"))
    if not before - TOLERATED <= told["now"] <= now + TOLERATED:
        found.append(warning("clock", f"differs from the database's by {told['now'] - now:+.1f} s: use NTP on both"))
    return found


async def _keys(connection: AsyncConnection, service: str, wrapping: Wrapping | None) -> list[Finding]:
    table: Table = import_module(f"services.{service}.tables").data_key
    if not await connection.run_sync(lambda sync: inspect(sync).has_table(table.name)):
        return []
    rows = (await connection.execute(select(table))).mappings().all()
    if rows and wrapping is None:
        text = f"the database of {service} is sealed, but its root key is not here: restore secret.key"
        return [error("LOCKGROOVE_SECRET_KEY", text)]
    try:
        for row in rows:
            assert wrapping is not None
            wrapping.open(dict(row))
    except WrongKey:
        return [
            error("LOCKGROOVE_SECRET_KEY", f"does not open the database of {service}: take that of its first start")
        ]
    except Tampered:
        return [error(f"the database of {service}", "a data key in it was changed: restore it from a backup")]
    return []


def _subject(environment: Environment) -> str:
    return "DATABASE_URL" if environment.get("DATABASE_URL") else "LOCKGROOVE_HOME"
