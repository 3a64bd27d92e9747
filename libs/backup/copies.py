"""One consistent copy of one database, made while services write."""

import asyncio
from pathlib import Path

from sqlalchemy import make_url

from libs.backup.dump import dump_schema
from libs.backup.sqlite import copy_sqlite


async def copy_database(url: str, schema: str, target: Path) -> None:
    """Copies what `url` names to a new file for its owner only: an SQLite file, or a dump of the schema (`dump.py`).

    The target is there whole or not at all. Raises NoDatabase, Damaged, NoRoom, CopyFailed or DatabaseUnavailable.
    """
    if file := sqlite_file(url):
        await asyncio.to_thread(copy_sqlite, file, target)
    else:
        await dump_schema(url, schema, target)


def sqlite_file(url: str) -> Path | None:
    """The file that the URL of an SQLite database names; None of PostgreSQL."""
    parsed = make_url(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None
