"""What the kit's tables need of Alembic's `op` to be made, and taken back, by a service's revision."""

from collections.abc import Sequence
from typing import Any, Protocol

from sqlalchemy.schema import SchemaItem


class Ddl(Protocol):
    """The part of `alembic.op` that makes tables, and takes them away."""

    def create_table(self, table_name: str, *columns: SchemaItem, **kw: Any) -> Any:
        """Makes a table."""
        ...

    def add_column(self, table_name: str, column: Any) -> Any:
        """Adds a column to a table."""
        ...

    def drop_table(self, table_name: str) -> Any:
        """Takes a table away."""
        ...

    def drop_column(self, table_name: str, column_name: str) -> Any:
        """Takes a column away; what names it has to be gone before."""
        ...

    def create_index(
        self, index_name: str | None, table_name: str, columns: Sequence[Any], *, unique: bool = False, **kw: Any
    ) -> None:
        """Makes an index."""
        ...

    def drop_index(self, index_name: str, table_name: str | None = None) -> None:
        """Takes an index away."""
        ...
