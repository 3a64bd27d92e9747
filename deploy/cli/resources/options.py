"""The options that commands about the suite's resources share, and how values get into a filter."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

Filter = Annotated[
    str, typer.Option("--filter", help='Only those that match: \'state = "FAILED" AND artist = "The Placeholders"\'.')
]
OrderBy = Annotated[str, typer.Option("--order-by", help="The order, as `create_time desc`.")]
Limit = Annotated[int, typer.Option("--limit", min=0, help="At most so many; 0 is all.")]
PageSize = Annotated[int, typer.Option("--page-size", min=1, max=1000, help="How many are asked for at once.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it with all that --filter finds.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


def every(*conditions: str) -> str:
    """The filter of what meets all of these conditions; empty ones are left out."""
    return " AND ".join(f"({each})" for each in conditions if each)


def equals(fields: Mapping[str, str]) -> list[str]:
    """Conditions for fields that must have a value; empty ones ask for nothing."""
    return [f"{field} = {quoted(value)}" for field, value in fields.items() if value]


def one_of(field: str, values: Iterable[str]) -> str:
    """The condition that a field has one of these values."""
    return " OR ".join(f"{field} = {quoted(value)}" for value in values)


def quoted(value: str) -> str:
    """A value as filters spell it; a star at either end stays one that matches anything."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
