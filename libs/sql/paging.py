"""Lists page by page (AIP-158, AIP-132): ordered by columns with a unique last one, continued after the last row seen.

A page token holds the sort key of the last row, bound to the request's other arguments and signed: it cannot be made up
and cannot be used for another list.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson
from sqlalchemy import ColumnElement, Row, Select, and_, or_

from libs.errors import InvalidArgument
from libs.sql.names import proto_name
from libs.sql.types import from_millis, millis

DEFAULT_SIZE = 50
LARGEST_SIZE = 1000
_SIGNATURE = 16  # bytes

R = TypeVar("R", bound=Row[Any])
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SortKey:
    """A column to sort by; it is NOT NULL, and on PostgreSQL text is of type OrderedText."""

    column: ColumnElement[Any]
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a list is sorted by; the last key is unique."""

    keys: tuple[SortKey, ...]

    @classmethod
    def parse(
        cls, text: str, *, fields: Mapping[str, ColumnElement[Any]], default: str, unique: ColumnElement[Any]
    ) -> "Order":
        """An `order_by` such as `create_time desc, title`, of allowed fields; raises InvalidArgument."""
        keys = [_sort_key(part.split(), fields) for part in (text.strip() or default).split(",")]
        if len({id(key.column) for key in keys}) < len(keys):
            raise InvalidArgument.field("order_by", "a field is named twice")
        if not any(key.column is unique for key in keys):
            keys.append(SortKey(column=unique, descending=keys[0].descending))
        return cls(keys=tuple(keys))

    def clauses(self) -> list[ColumnElement[Any]]:
        """For ORDER BY."""
        return [key.column.desc() if key.descending else key.column.asc() for key in self.keys]

    def after(self, values: Sequence[Any]) -> ColumnElement[bool]:
        """The rows that come after the one with these values."""
        steps = list(zip(self.keys, values, strict=True))
        later = [
            and_(*(key.column == value for key, value in steps[:depth]), _beyond(*steps[depth]))
            for depth in range(len(steps))
        ]
        first, value = steps[0]
        bound = first.column <= value if first.descending else first.column >= value  # lets an index begin there
        return and_(bound, or_(*later))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list."""

    size: int
    order: Order
    after: tuple[Any, ...] | None
    arguments: bytes
    key: bytes

    def apply(self, statement: Select[Any]) -> Select[Any]:
        """Selects the page, and one row more to know whether it is the last. The sort columns must be selected."""
        if self.after is not None:
            statement = statement.where(self.order.after(self.after))
        return statement.order_by(*self.order.clauses()).limit(self.size + 1)

    def cut(self, rows: Sequence[R]) -> tuple[Sequence[R], str]:
        """The rows of the page and the token of the next, empty after the last."""
        if len(rows) <= self.size:
            return rows, ""
        page = rows[: self.size]
        last = [_to_json(page[-1]._mapping[key.column]) for key in self.order.keys]
        return page, _seal(self.key, self.arguments, last)

    def part(self, items: Sequence[T], position: Callable[[T], tuple[Any, ...]]) -> tuple[Sequence[T], str]:
        """As `apply` and `cut`, of a list that was made in memory and is sorted by `position`, ascending."""
        rest = [item for item in items if self.after is None or position(item) > self.after]
        if len(rest) <= self.size:
            return rest, ""
        page = rest[: self.size]
        return page, _seal(self.key, self.arguments, list(position(page[-1])))


class PageTokens:
    """Makes and reads page tokens with the service's own key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def page(self, *, size: int, token: str, order: Order, arguments: Sequence[str]) -> Page:
        """The page that a request asks for; `arguments` are all its other fields that choose or order rows.

        Raises InvalidArgument for a negative size, and for a token that is not ours or belongs to another list.
        """
        digest = hashlib.sha256(orjson.dumps(list(arguments))).digest()[:_SIGNATURE]
        after = _open(self._key, digest, token, len(order.keys)) if token else None
        return Page(size=page_size(size), order=order, after=after, arguments=digest, key=self._key)


def page_size(requested: int) -> int:
    """50 when nothing is asked for, and at most 1000 (AIP-158)."""
    if requested < 0:
        raise InvalidArgument.field("page_size", "must not be negative")
    return min(requested or DEFAULT_SIZE, LARGEST_SIZE)


def _sort_key(words: list[str], fields: Mapping[str, ColumnElement[Any]]) -> SortKey:
    match words:
        case [name] | [name, "asc" | "desc"] if (column := fields.get(proto_name(name))) is not None:
            return SortKey(column=column, descending=words[-1] == "desc" and len(words) == 2)
        case [name, "asc" | "desc"] | [name]:
            raise InvalidArgument.field("order_by", f"cannot sort by {name!r}: known are {', '.join(sorted(fields))}")
        case _:
            raise InvalidArgument.field("order_by", "must be fields separated by commas, each alone or with `desc`")


def _beyond(key: SortKey, value: Any) -> ColumnElement[bool]:
    beyond: ColumnElement[bool] = key.column < value if key.descending else key.column > value
    return beyond


def _seal(key: bytes, arguments: bytes, values: list[Any]) -> str:
    payload = arguments + orjson.dumps(values)
    return urlsafe_b64encode(_signature(key, payload) + payload).decode().rstrip("=")


def _open(key: bytes, arguments: bytes, token: str, length: int) -> tuple[Any, ...]:
    try:
        sealed = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        raise _not_ours() from None
    signature, payload = sealed[:_SIGNATURE], sealed[_SIGNATURE:]
    if not hmac.compare_digest(signature, _signature(key, payload)):
        raise _not_ours()
    if not hmac.compare_digest(payload[:_SIGNATURE], arguments):
        raise InvalidArgument.field("page_token", "belongs to a request with other arguments")
    values = orjson.loads(payload[_SIGNATURE:])
    if len(values) != length:
        raise _not_ours()
    return tuple(_from_json(value) for value in values)


def _not_ours() -> InvalidArgument:
    return InvalidArgument.field("page_token", "is not a token that this list gave out")


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")[:_SIGNATURE]


def _to_json(value: Any) -> Any:
    return {"ms": millis(value)} if isinstance(value, datetime) else value


def _from_json(value: Any) -> Any:
    return from_millis(value["ms"]) if isinstance(value, dict) else value
