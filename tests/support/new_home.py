"""Databases as the first start of a suite leaves them: their schemas are there, and nothing is in them.

They are migrated once, and copied for each test: a copy is far quicker, and so is a start that finds it.
"""

from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from libs import ids
from libs.sql.engine import open_database
from libs.sql.migrations import migrate
from libs.sql.url import database_url
from tests.support.postgres import Postgres

_SERVICES = ("config", "webhooks", "acquisition")

_files: dict[str, bytes] = {}


async def move_in(home: Path) -> None:
    """Puts the databases into a home that has none."""
    if not any(home.glob("*.db")):
        for service in _SERVICES:
            await make_schema(service, home=home)


async def moved_in(postgres: Postgres) -> str:
    """The name of a new database of a server, with the schemas of all services."""
    name, template = ids.new("test"), "settled"
    if not postgres.execute(f"SELECT 1 FROM pg_database WHERE datname = '{template}'"):
        postgres.execute(f"CREATE DATABASE {template} STRATEGY file_copy")
        for service in _SERVICES:
            await _migrate(service, Path(), postgres.url(template))
    postgres.execute(f'CREATE DATABASE "{name}" TEMPLATE {template} STRATEGY file_copy')
    return name


async def make_schema(service: str, *, home: Path, configured: str | None = None) -> None:
    """Makes the schema of one service where the service will look for it, unless it is there."""
    file = home / f"{service}.db"
    if configured:
        await _migrate(service, home, configured)
    elif not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        file.write_bytes(await _file_of(service))


async def _file_of(service: str) -> bytes:
    if service not in _files:
        with TemporaryDirectory() as folder:
            await _migrate(service, Path(folder), None)
            _files[service] = (Path(folder) / f"{service}.db").read_bytes()
    return _files[service]


async def _migrate(service: str, home: Path, configured: str | None) -> None:
    migrations = import_module(f"services.{service}.migrations")
    url = database_url(home=home, service=service, configured=configured)
    async with open_database(url, schema=f"lockgroove_{service}") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
