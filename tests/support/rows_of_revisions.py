"""Rows as a release wrote them, made from the tables that its revision had: nobody has to remember what they were."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import JSON, Boolean, Connection, Integer, LargeBinary, MetaData, Table, insert, select
from sqlalchemy.sql.schema import Column

_RULES: Final[Mapping[str, Any]] = {
    "attempt.state": "RUNNING",  # ended IS NULL, says a constraint
    "attempt.ended": None,
    "setting.sealed": None,  # a value or a sealed one
    "event.stored_on": -1,  # the partition that is always there
    "event_body.stored_on": -1,
}
_NOT_OURS: Final = ("alembic_version", "schema_revision", "config_state", "event_body_")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """A row, and the table it went to."""

    table: str
    row: Row


def reflected(connection: Connection) -> MetaData:
    """The tables of a service as they are now."""
    metadata = MetaData()
    metadata.reflect(connection, only=lambda name, _: not name.startswith(_NOT_OURS))
    return metadata


def write_rows(connection: Connection, metadata: MetaData, number: int) -> list[Written]:
    """One row into each table, naming all columns that `metadata` knows; rows of one number belong together."""
    written = [Written(table.name, dict(_row(table, number))) for table in metadata.sorted_tables]
    for each in written:
        connection.execute(insert(metadata.tables[each.table]).values(each.row))
    return written


def lost(connection: Connection, metadata: MetaData, written: list[Written]) -> list[Written]:
    """Those rows of tables that are still there which cannot be read as they were written."""
    return [each for each in written if each.table in metadata.tables and not _is_there(connection, metadata, each)]


def _is_there(connection: Connection, metadata: MetaData, written: Written) -> bool:
    table = metadata.tables[written.table]
    known = [column for column in table.columns if column.name in written.row]
    expected = {column.name: written.row[column.name] for column in known}
    return any(dict(row._mapping) == expected for row in connection.execute(select(*known)))


def _row(table: Table, number: int) -> Iterator[tuple[str, Any]]:
    for column in table.columns:
        rule = f"{table.name}.{column.name}"
        yield column.name, _RULES[rule] if rule in _RULES else _value(column, number)


def _value(column: Column[Any], number: int) -> Any:
    kind = column.type
    if isinstance(kind, JSON):
        return {"number": number}
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, Integer):
        return number
    return str(number).encode() if isinstance(kind, LargeBinary) else str(number)
