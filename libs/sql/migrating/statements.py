"""The statements of a revision: heard while it runs, and judged by what they do."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, event

_READING: Final = re.compile(r"\s*(SELECT|PRAGMA|SHOW)\b", re.IGNORECASE)
_ADDING: Final = re.compile(
    r"\s*(CREATE (UNIQUE )?INDEX|CREATE TABLE|INSERT INTO|ALTER TABLE \S+ ADD COLUMN)\b", re.IGNORECASE
)
_REQUIRED: Final = re.compile(r"ADD COLUMN .*\bNOT NULL\b", re.IGNORECASE | re.DOTALL)
_DEFAULT: Final = re.compile(r"\bDEFAULT\b", re.IGNORECASE)
_LOSING: Final = re.compile(
    r"\s*(DROP TABLE|DELETE|TRUNCATE|UPDATE|DROP SCHEMA|ALTER TABLE .* DROP COLUMN)\b", re.IGNORECASE | re.DOTALL
)


@contextmanager
def heard(connection: Connection) -> Iterator[list[str]]:
    """The statements that change something, with the values they carry."""
    said: list[str] = []

    def hear(_connection: Any, _cursor: Any, statement: str, values: Any, _context: Any, _many: bool) -> None:
        if not _READING.match(statement):
            told = statement.strip()
            said.append(f"{told} -- {values}" if values else told)

    event.listen(connection, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(connection, "before_cursor_execute", hear)


def not_additive(statements: Sequence[str]) -> list[str]:
    """Those that the code of the release before may not survive, or that take long where there are many rows."""
    return [statement for statement in statements if not _ADDING.match(statement) or _is_demanding(statement)]


def losing(statements: Sequence[str]) -> list[str]:
    """Those after which rows, or values of rows, may be gone."""
    return [statement for statement in statements if _LOSING.match(statement)]


def _is_demanding(statement: str) -> bool:
    """A column that rows must have, though the code of the release before does not name it."""
    return bool(_REQUIRED.search(statement)) and not _DEFAULT.search(statement)
