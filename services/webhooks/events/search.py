"""Search in bodies: bounded work for each page, however many events there are."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Row, Select, func, literal
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.sql.paging import Page
from services.webhooks import rows
from services.webhooks.tables import event, event_body

MOST_BODIES = 2000  # that one page looks at
MOST_BYTES = 16 << 20
_SLICE = 200  # bodies that one statement looks at


async def search(
    connection: AsyncConnection, page: Page, matching: ColumnElement[bool], needle: bytes
) -> tuple[Sequence[Row[Any]], str]:
    """The rows of a page, only events with these bytes in their bodies, and the token of the next page.

    The page is short where looking at more would cost too much: its token then leads on behind the last one looked at.
    """
    statement = rows.events().add_columns(event.c.stored_on).where(matching)
    looked_at, token = await _candidates(connection, page, statement)
    found: list[Row[Any]] = []
    for start in range(0, len(looked_at), _SLICE):
        part = looked_at[start : start + _SLICE]
        hits = await _hits(connection, [row.id for row in part], needle)
        found += [row for row in part if row.id in hits]
        if len(found) > page.size:
            return replace(page, size=page.size).cut(found[: page.size + 1])
    return found, token


async def _candidates(
    connection: AsyncConnection, page: Page, statement: Select[Any]
) -> tuple[Sequence[Row[Any]], str]:
    """The rows whose bodies this page may look at, and the token behind them."""
    many = replace(page, size=MOST_BODIES)
    found = (await connection.execute(many.apply(statement))).all()
    size, number = 0, 0
    for row in found[:MOST_BODIES]:
        size += row.body_size
        if size > MOST_BYTES and number:
            break
        number += 1
    return replace(page, size=number).cut(found)


async def _hits(connection: AsyncConnection, ids: Sequence[str], needle: bytes) -> frozenset[str]:
    body, part = event_body.c.body, literal(needle, LargeBinary)
    place = func.position(part.op("IN")(body)) if connection.dialect.name == "postgresql" else func.instr(body, part)
    statement = rows.with_body().where(event.c.id.in_(ids), place > 0)
    return frozenset((await connection.scalars(statement)).all())
