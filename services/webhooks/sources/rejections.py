"""All SQL of the log of refused deliveries, which never grows beyond its caps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, select

from libs.sql.engine import Database
from libs.sql.filters import Field, TextField, TimeField, compile_filter
from libs.sql.paging import Order, PageTokens
from services.webhooks.domain.source import UnknownSource
from services.webhooks.tables import rejection

MOST = 10_000
MOST_OF_SOURCE = 1_000

_FILTERS: Mapping[str, Field] = {
    "source": TextField(rejection.c.source),
    "reason": TextField(rejection.c.reason),
    "receive_time": TimeField(rejection.c.received_at),
}
_ORDERS = {"receive_time": rejection.c.received_at}
_NEWEST = rejection.c.received_at.desc(), rejection.c.id.desc()
_NOWHERE = rejection.c.reason == UnknownSource.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A delivery that was refused: no body, no secrets."""

    id: str
    source: str
    reason: str
    cause: str
    remote_address: str
    body_size: int
    headers: Mapping[str, str]
    received_at: datetime


class SqlRejections:
    """The newest refused deliveries: so many of a source, of all that name no source together, and of all."""

    def __init__(
        self, database: Database, tokens: PageTokens, *, most: int = MOST, most_of_source: int = MOST_OF_SOURCE
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._most = most
        self._most_of_source = most_of_source

    async def add(self, rejections: Sequence[Rejection]) -> None:
        """Keep some more, and let the oldest go. Raises DatabaseUnavailable or StorageFull."""
        rows = [_values(each) for each in rejections]
        named = sorted({each.source for each in rejections if each.reason != UnknownSource.reason})
        async with self._database.writing() as connection:
            await connection.execute(insert(rejection), rows)
            for group in [_NOWHERE, *((rejection.c.source == name) & ~_NOWHERE for name in named)]:
                await connection.execute(self._beyond(self._most_of_source, group))
            await connection.execute(self._beyond(self._most))

    async def page(self, *, filter: str, size: int, token: str) -> tuple[list[Rejection], str]:
        """A page, newest first, and the token of the next; raises InvalidArgument for what cannot be read."""
        order = Order.parse("", fields=_ORDERS, default="receive_time desc", unique=rejection.c.id)
        page = self._tokens.page(size=size, token=token, order=order, arguments=["rejections", filter])
        statement = page.apply(select(rejection).where(compile_filter(filter, _FILTERS)))
        async with self._database.reading() as connection:
            found, next_token = page.cut((await connection.execute(statement)).all())
        return [_rejection(row) for row in found], next_token

    def _beyond(self, most: int, *group: ColumnElement[bool]) -> Any:
        oldest = select(rejection.c.id).where(*group).order_by(*_NEWEST).offset(most)
        return delete(rejection).where(rejection.c.id.in_(oldest))


def _values(each: Rejection) -> dict[str, Any]:
    return {
        "id": each.id,
        "source": each.source,
        "reason": each.reason,
        "cause": each.cause,
        "remote_address": each.remote_address,
        "body_size": each.body_size,
        "headers": dict(each.headers),
        "received_at": each.received_at,
    }


def _rejection(row: Row[Any]) -> Rejection:
    return Rejection(**{name: value for name, value in row._mapping.items()})
