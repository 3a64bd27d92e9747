"""Where a service's database is: its own SQLite file in the data folder, or the PostgreSQL that DATABASE_URL names."""

from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from libs.errors import InvalidArgument

_POSTGRESQL = frozenset({"postgres", "postgresql", "postgresql+asyncpg"})
_OPTIONS = frozenset({"host", "port", "ssl"})


def database_url(*, home: Path, service: str, configured: str | None) -> str:
    """The service's SQLite file in `home`, or the configured PostgreSQL URL, normalised to the asyncpg driver.

    Raises InvalidArgument for a URL that names anything else; the text never shows its password.
    """
    if not configured:
        return f"sqlite+aiosqlite:///{home / service}.db"
    url = _parsed(configured)
    if url.drivername not in _POSTGRESQL:
        raise _invalid(
            f"{url.drivername} is not supported: use postgresql://user:password@host/database, or leave it out"
        )
    options = {("ssl" if name == "sslmode" else name): value for name, value in url.query.items()}
    if unknown := sorted(options.keys() - _OPTIONS):
        raise _invalid(f"unknown option {unknown[0]!r}: known are host, port and sslmode")
    return url.set(drivername="postgresql+asyncpg", query=options).render_as_string(hide_password=False)


def place_of(url: str) -> str:
    """How to name the database to people: the file, or the server without its password."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return f"the database file {parsed.database}"
    return f"the database {parsed.set(drivername='postgresql', query={}).render_as_string(hide_password=True)}"


def _parsed(configured: str) -> URL:
    try:
        return make_url(configured)
    except (ArgumentError, ValueError):
        raise _invalid("this is not a URL: use postgresql://user:password@host/database") from None


def _invalid(description: str) -> InvalidArgument:
    return InvalidArgument.field("DATABASE_URL", description)
