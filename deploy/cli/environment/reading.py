"""The database of a service, opened so that nothing in it, and nothing beside it, can change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from deploy.cli.environment.finding import Environment
from libs.sql.errors import translated
from libs.sql.url import database_url, place_of
from services.config.settings import Settings

SERVICES = ("config", "webhooks", "acquisition")

_CONNECT = 5  # seconds


@asynccontextmanager
async def reading(environment: Environment, service: str) -> AsyncIterator[AsyncConnection | None]:
    """A connection that reads; None where there is no file yet. Raises DatabaseUnavailable."""
    settings = Settings.from_environment(environment)
    url = database_url(home=settings.home, service=service, configured=settings.database)
    if url.startswith("sqlite"):
        file = Path(url.partition(":///")[2])
        if not file.exists():
            yield None
            return
        name = URL.create("sqlite+aiosqlite", database=f"file:{quote(str(file))}", query={"mode": "ro", "uri": "true"})
        engine = create_async_engine(name)
    else:
        schema = {"search_path": f'"lockgroove_{service}"', "default_transaction_read_only": "on"}
        engine = create_async_engine(url, connect_args={"timeout": _CONNECT, "server_settings": schema})
    try:
        async with engine.connect() as connection:
            yield connection
    except (SQLAlchemyError, OSError) as fault:
        if (told := translated(fault, place_of(url))) is None:
            raise
        raise told from fault
    finally:
        await engine.dispose()
