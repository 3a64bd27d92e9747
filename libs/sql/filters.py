"""The filter language of lists (a subset of AIP-160), compiled to bound parameters, never to text.

    expression = sequence { AND sequence }        OR binds tighter than AND: `a AND b OR c` is `a AND (b OR c)`
    sequence   = term { OR term }
    term       = [ NOT | "-" ] ( restriction | "(" expression ")" )
    restriction = field ( = | != | < | <= | > | >= ) value

A value is a word or a quoted string; `*` at the start or end of a text matches anything, `\\*` is a star.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn, Protocol

from sqlalchemy import ColumnElement, and_, not_, or_, true

from libs.errors import InvalidArgument
from libs.sql.names import proto_name

LONGEST = 2000  # characters
MOST_RESTRICTIONS = 50
DEEPEST = 10

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><=|>=|!=|=|<|>)
      | (?P<bracket>[()])
      | (?P<word>[^\s()"'=<>!]+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LAST_STAR = re.compile(r"(?<!\\)(?:\\\\)*(\*)$", re.DOTALL)
_BARE_STAR = re.compile(r"(?<!\\)(?:\\\\)*\*", re.DOTALL)


class Field(Protocol):
    """A field that may be filtered by."""

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """The condition on its column; raises ValueError with what is wrong, for people."""
        ...


@dataclass(frozen=True, slots=True)
class TextField:
    """A text; with = and != it may have a star at either end."""

    column: ColumnElement[Any]

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares by code points."""
        if operator in ("=", "!="):
            matches = self._matches(value)
            return matches if operator == "=" else not_(matches)
        return _compared(self.column, operator, _unescaped(value))

    def _matches(self, value: str) -> ColumnElement[bool]:
        starts, ends = value.startswith("*"), _LAST_STAR.search(value) is not None
        if value == "*":
            return true()
        body = value[starts : len(value) - ends]
        if _BARE_STAR.search(body):
            raise ValueError("* may only stand at the start or end")
        text = _unescaped(body)
        if starts and ends:
            return self.column.contains(text, autoescape=True)
        if starts:
            return self.column.endswith(text, autoescape=True)
        return self.column.startswith(text, autoescape=True) if ends else self.column == text


@dataclass(frozen=True, slots=True)
class EnumField:
    """One of some names; `values` maps those names to what the column holds."""

    column: ColumnElement[Any]
    values: Mapping[str, Any]

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares for equality."""
        if operator not in ("=", "!="):
            raise ValueError(f"{operator} does not apply: use = or !=")
        if value not in self.values:
            raise ValueError(f"{value!r} is not one of {', '.join(self.values)}")
        return _compared(self.column, operator, self.values[value])


@dataclass(frozen=True, slots=True)
class TimeField:
    """A moment, in RFC 3339."""

    column: ColumnElement[Any]

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares moments."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a time such as 2026-01-31T12:00:00Z") from None
        if moment.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: end it with Z or an offset")
        return _compared(self.column, operator, moment.astimezone(UTC))


@dataclass(frozen=True, slots=True)
class NumberField:
    """A whole number of 64 bits."""

    column: ColumnElement[Any]

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares numbers."""
        if not re.fullmatch(r"-?[0-9]{1,18}", value, re.ASCII):
            raise ValueError(f"{value!r} is not a whole number")
        return _compared(self.column, operator, int(value))


def compile_filter(text: str, fields: Mapping[str, Field]) -> ColumnElement[bool]:
    """The condition that a filter means, true for an empty one.

    Raises InvalidArgument, field `filter`, with the position (from 1) of what is wrong.
    """
    if len(text) > LONGEST:
        raise InvalidArgument.field("filter", f"is longer than {LONGEST} characters")
    if "\0" in text:
        raise _wrong("a NUL character is not allowed", text.index("\0"))
    tokens = _tokens(text)
    return _Parser(tokens, fields, end=len(text)).parse() if tokens else true()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    position: int


class _Parser:
    def __init__(self, tokens: list[_Token], fields: Mapping[str, Field], *, end: int) -> None:
        self._tokens = [*tokens, _Token("end", "", end)]
        self._fields = fields
        self._next = 0
        self._restrictions = 0

    def parse(self) -> ColumnElement[bool]:
        condition = self._expression(0)
        if self._token.kind != "end":
            self._fail(f"AND or OR is missing before {self._token.text!r}")
        return condition

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _takes(self, kind: str, text: str) -> bool:
        found = (self._token.kind, self._token.text) == (kind, text)
        self._next += found
        return found

    def _fail(self, problem: str, at: _Token | None = None) -> NoReturn:
        raise _wrong(problem, (at or self._token).position)

    def _expression(self, depth: int) -> ColumnElement[bool]:
        if depth > DEEPEST:
            self._fail(f"is nested deeper than {DEEPEST}")
        parts = [self._sequence(depth)]
        while self._takes("word", "AND"):
            parts.append(self._sequence(depth))
        return and_(*parts)

    def _sequence(self, depth: int) -> ColumnElement[bool]:
        parts = [self._term(depth)]
        while self._takes("word", "OR"):
            parts.append(self._term(depth))
        return or_(*parts)

    def _term(self, depth: int) -> ColumnElement[bool]:
        if self._takes("word", "NOT") or self._takes("word", "-"):
            return not_(self._simple(depth))
        token = self._token
        if token.kind == "word" and token.text.startswith("-"):
            self._tokens[self._next] = _Token("word", token.text[1:], token.position + 1)
            return not_(self._simple(depth))
        return self._simple(depth)

    def _simple(self, depth: int) -> ColumnElement[bool]:
        if not self._takes("bracket", "("):
            return self._restriction()
        condition = self._expression(depth + 1)
        if not self._takes("bracket", ")"):
            self._fail(") is missing")
        return condition

    def _restriction(self) -> ColumnElement[bool]:
        self._restrictions += 1
        if self._restrictions > MOST_RESTRICTIONS:
            self._fail(f"has more than {MOST_RESTRICTIONS} conditions")
        name = self._take()
        if name.kind != "word" or name.text in ("AND", "OR", "NOT"):
            self._fail("a field is missing", name)
        field = self._fields.get(proto_name(name.text))
        if field is None:
            self._fail(f"unknown field {name.text!r}: known are {', '.join(sorted(self._fields))}", name)
        operator = self._take()
        if operator.kind != "operator":
            self._fail("one of = != < <= > >= is missing", operator)
        value = self._take()
        if value.kind not in ("word", "quoted"):
            self._fail("a value is missing", value)
        try:
            return field.condition(operator.text, value.text)
        except ValueError as error:
            raise _wrong(str(error), value.position) from None


def _tokens(text: str) -> list[_Token]:
    tokens, position, end = [], 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise _wrong("a quotation mark is not closed" if text[start] in "\"'" else "is not understood", start)
        kind = match.lastgroup
        found = match.group(kind)
        tokens.append(_Token(kind, found[1:-1] if kind == "quoted" else found, match.start(kind)))
        position = match.end()
    return tokens


def _compared(column: ColumnElement[Any], operator: str, value: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool]
    match operator:
        case "=":
            condition = column == value
        case "!=":
            condition = column.is_distinct_from(value)
        case "<":
            condition = column < value
        case "<=":
            condition = column <= value
        case ">":
            condition = column > value
        case _:
            condition = column >= value
    return condition


def _unescaped(value: str) -> str:
    return _ESCAPE.sub(r"\1", value)


def _wrong(problem: str, position: int) -> InvalidArgument:
    return InvalidArgument.field("filter", f"{problem} (at character {position + 1})")
