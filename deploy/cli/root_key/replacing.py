"""Another root key for an installation, step by step."""

import asyncio
from contextlib import AbstractAsyncContextManager

from libs.crypto.rootkey import (
    FILE,
    FILE_VARIABLE,
    PREVIOUS_VARIABLE,
    VARIABLE,
    RootKeys,
    UnusableKey,
    forget_previous_root_key,
    load_root_keys,
    replace_root_key,
)
from libs.crypto.safe import require_current
from libs.sql.engine import Database, open_database
from libs.sql.migrations import is_current
from libs.sql.url import database_url
from services.config import migrations as config_migrations
from services.config import tables as config_tables
from services.config.settings import Settings
from services.webhooks import migrations as webhooks_migrations
from services.webhooks import tables as webhooks_tables

_KEEPERS = {
    "config": (config_tables.data_key, config_migrations.HEAD),
    "webhooks": (webhooks_tables.data_key, webhooks_migrations.HEAD),
}


def rotate_root() -> str:
    """Makes a new root key and keeps the one before it; returns what is to do next. Raises UnusableKey."""
    settings = Settings.from_environment()
    _refuse_elsewhere(settings, "put a new one of 32 characters or more into {first}, the one in force into {second}")
    replace_root_key(settings.home)
    return (
        f"{settings.home / FILE} holds a new root key, and the one before it.\n"
        "1. Copy the file to every machine that runs a service, and to where you keep it safe.\n"
        "2. Restart every service, in any order: what is sealed is sealed anew at the start.\n"
        "3. GET /api/v1/encryption shows rootKeyId and previousRootKey of each service. When all have restarted, run\n"
        "   `lockgroove keys forget-previous`, and restart them once more.\n"
        "If the old key may be known to somebody, then POST /api/v1/encryption:rotateDataKeys, too."
    )


def forget_previous() -> str:
    """Forgets the root key before the one in force; returns what is to do next.

    Raises UnusableKey, or WrongRootKey while a database needs it.
    """
    settings = Settings.from_environment()
    _refuse_absent(settings)
    roots = load_root_keys(
        settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
    )
    if not roots.previous:
        raise UnusableKey("no previous root key is known: there is nothing to forget")
    asyncio.run(_require_current(settings, roots))
    _refuse_elsewhere(settings, "no database needs the previous one any more: take it out of {second}")
    forget_previous_root_key(settings.home)
    return (
        f"{settings.home / FILE} holds the new root key alone: restart every service.\n"
        "Backups that were made before open with the old key only: keep it with them, or make a new one now."
    )


def _refuse_elsewhere(settings: Settings, remedy: str) -> None:
    """Only their owner can change what is configured or mounted."""
    if file := settings.secret_key_file:
        places = {"first": f"the first line of {file}", "second": "the line behind it"}
        raise UnusableKey(f"the root key is mounted ({FILE_VARIABLE}): {remedy.format_map(places)}, and restart")
    if settings.secret_key or settings.previous_secret_key:
        places = {"first": VARIABLE, "second": PREVIOUS_VARIABLE}
        raise UnusableKey(f"the root key is configured: {remedy.format_map(places)}, and restart every service")


def _refuse_absent(settings: Settings) -> None:
    path = settings.home / FILE
    if not (settings.secret_key or settings.secret_key_file or path.exists()):
        raise UnusableKey(f"{path} is not there: is LOCKGROOVE_HOME right?")


async def _require_current(settings: Settings, roots: RootKeys) -> None:
    """Raises WrongRootKey while a data key is not sealed under the root key in force."""
    for service, (table, head) in _KEEPERS.items():
        async with _database(service, settings) as database:
            if not await is_current(database, head):
                raise UnusableKey(f"{database.place} is of another release: start every service of this one first")
            await require_current(database, table, roots)


def _database(service: str, settings: Settings) -> AbstractAsyncContextManager[Database]:
    if not settings.database and not (settings.home / f"{service}.db").exists():
        raise UnusableKey(f"there is no database of {service} in {settings.home}: is LOCKGROOVE_HOME right?")
    url = database_url(home=settings.home, service=service, configured=settings.database)
    return open_database(url, schema=f"lockgroove_{service}")
