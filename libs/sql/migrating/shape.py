"""What a schema looks like: every table, column, index and constraint by name, and how each is defined."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, text

BOOKKEEPING: Final = frozenset({"alembic_version", "schema_revision"})

Shape = Mapping[str, str]

_SQLITE_COLUMNS: Final = text(
    'SELECT m.name, c.name, c.type, c."notnull", c.dflt_value, c.pk FROM sqlite_master m, pragma_table_xinfo(m.name) c'
    " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!'"
)
_SQLITE_INDEXES: Final = text("SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
_SQLITE_UNIQUE: Final = text(
    "SELECT m.name, group_concat(i.name, ', ') FROM sqlite_master m, pragma_index_list(m.name) l,"
    " pragma_index_info(l.name) i WHERE m.type = 'table' AND l.origin = 'u' GROUP BY m.name, l.name"
)
_SQLITE_REFERENCES: Final = text(
    'SELECT m.name, f."from", f."table", f."to", f.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) f'
    " WHERE m.type = 'table'"
)
# Partitions come and go with the days: they are no part of the shape.
_OWN_TABLES: Final = (
    "pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace AND n.nspname = current_schema()"
    " AND t.relkind IN ('r', 'p') AND NOT t.relispartition"
)
_POSTGRESQL_COLUMNS: Final = text(
    "SELECT t.relname, a.attname, format_type(a.atttypid, a.atttypmod),"  # noqa: S608 - a constant
    " a.attnotnull, pg_get_expr(d.adbin, d.adrelid)"
    f" FROM {_OWN_TABLES} JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum"
)
_POSTGRESQL_INDEXES: Final = text(
    "SELECT t.relname, i.relname, pg_get_indexdef(i.oid), n.nspname"  # noqa: S608 - a constant
    f" FROM {_OWN_TABLES} JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class i ON i.oid = x.indexrelid"
    " WHERE NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)"
)
_POSTGRESQL_CONSTRAINTS: Final = text(
    "SELECT t.relname, c.conname, pg_get_constraintdef(c.oid)"  # noqa: S608 - a constant
    f" FROM {_OWN_TABLES} JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype IN ('p', 'u', 'f', 'c')"
)


def shape(connection: Connection) -> Shape:
    """The shape of the schema, without what tells its revision; empty for a new database."""
    read = _on_sqlite if connection.dialect.name == "sqlite" else _on_postgresql
    found = {name: definition for table, name, definition in read(connection) if table not in BOOKKEEPING}
    return dict(sorted(found.items()))


def missing(real: Shape, expected: Shape) -> list[str]:
    """What should be there and is not, or is something else."""
    return [
        f"{name} is missing" if name not in real else f"{name} is {real[name]} instead of {definition}"
        for name, definition in expected.items()
        if real.get(name) != definition
    ]


def differences(real: Shape, expected: Shape) -> list[str]:
    """What is missing, and what is there beyond."""
    return missing(real, expected) + [f"{name} is unknown" for name in real if name not in expected]


def _on_sqlite(connection: Connection) -> Iterable[tuple[str, str, str]]:
    for table, name, kind, required, default, key in connection.execute(_SQLITE_COLUMNS):
        yield table, f"column {table}.{name}", _column(kind, required, default) + (f" key {key}" if key else "")
    for table, name, definition in connection.execute(_SQLITE_INDEXES):
        yield table, f"index {name}", " ".join(definition.split())
    for table, columns in connection.execute(_SQLITE_UNIQUE):
        yield table, f"constraint of {table}: unique ({columns})", "there"
    for table, column, parent, target, on_delete in connection.execute(_SQLITE_REFERENCES):
        yield table, f"constraint of {table}: {column} is of {parent}", f"{target} on delete {on_delete}"


def _on_postgresql(connection: Connection) -> Iterable[tuple[str, str, str]]:
    for table, name, kind, required, default in connection.execute(_POSTGRESQL_COLUMNS):
        yield table, f"column {table}.{name}", _column(kind, required, default)
    for table, name, definition, schema in connection.execute(_POSTGRESQL_INDEXES):
        yield table, f"index {name}", _unqualified(definition, schema)
    for table, name, definition in connection.execute(_POSTGRESQL_CONSTRAINTS):
        yield table, f"constraint {name} of {table}", definition


def _column(kind: str, required: Any, default: str | None) -> str:
    return kind + (" not null" if required else "") + (f" default {default}" if default is not None else "")


def _unqualified(definition: str, schema: str) -> str:
    return re.sub(rf'\b(ON (?:ONLY )?)"?{re.escape(schema)}"?\.', r"\1", definition)
