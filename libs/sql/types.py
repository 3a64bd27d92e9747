"""Column types and the database's clock: the same Core code on SQLite and PostgreSQL."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, BigInteger, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Text ordered by its bytes on both databases, as ids and page tokens need it: PostgreSQL's own order follows a locale.
OrderedText = Text(collation="C").with_variant(Text(), "sqlite")
# A growing number given by the database; SQLite counts only INTEGER keys up.
Serial = BigInteger().with_variant(Integer(), "sqlite")


class UtcMillis(TypeDecorator[datetime]):
    """An aware datetime in UTC, kept as milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Milliseconds since 1970."""
        return None if value is None else millis(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """The datetime, in UTC."""
        return None if value is None else from_millis(value)


class Json(TypeDecorator[Any]):
    """A JSON document, never compared in SQL: jsonb on PostgreSQL, text on SQLite. None is SQL's NULL."""

    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Chooses jsonb on PostgreSQL."""
        kind = JSONB if dialect.name == "postgresql" else JSON
        return dialect.type_descriptor(kind(none_as_null=True))


class now_ms(FunctionElement[int]):  # noqa: N801 - it is written and read like an SQL function
    """The database's clock in milliseconds: stable within a statement, moving within a transaction.

    Due times and leases are only ever compared with this clock: the clocks of several hosts disagree.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_on_sqlite(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_on_postgresql(element: now_ms, compiler: SQLCompiler, **kw: Any) -> str:
    # clock_timestamp() is volatile and could not bound an index scan.
    return "CAST(extract(epoch FROM statement_timestamp()) * 1000 AS BIGINT)"


def millis(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MILLISECOND


def from_millis(value: int) -> datetime:
    """The aware datetime in UTC, from milliseconds since 1970."""
    return _EPOCH + value * _MILLISECOND


def duration_ms(duration: timedelta) -> int:
    """A duration in whole milliseconds, to be added to `now_ms()`."""
    return duration // _MILLISECOND
