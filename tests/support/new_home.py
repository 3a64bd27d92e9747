"""Databases as the first start of a suite leaves them: their schemas are there, and nothing is in them.

A start that finds them is quicker than a first one, which migrates each service in a process of its own.
"""

import asyncio
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

from libs.sql.engine import open_database
from libs.sql.migrations import migrate
from libs.sql.url import database_url

_SERVICES = ("config", "webhooks", "acquisition")


async def move_in(home: Path) -> None:
    """Puts the databases into a home that has none."""
    if any(home.glob("*.db")):
        return
    home.mkdir(parents=True, exist_ok=True)
    for name, content in (await asyncio.to_thread(_databases)).items():
        (home / name).write_bytes(content)


async def make_schema(service: str, *, home: Path, configured: str | None = None) -> None:
    """Makes the schema of one service, in this process, where the service will look for it."""
    migrations = import_module(f"services.{service}.migrations")
    url = database_url(home=home, service=service, configured=configured)
    async with open_database(url, schema=f"lockgroove_{service}") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)


@cache
def _databases() -> Mapping[str, bytes]:
    with TemporaryDirectory() as folder:
        asyncio.run(_migrate(Path(folder)))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


async def _migrate(home: Path) -> None:
    for service in _SERVICES:
        await make_schema(service, home=home)
