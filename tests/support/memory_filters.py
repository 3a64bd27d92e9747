"""The filter language over events in memory: the same grammar, each condition decided at once."""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, false, true
from sqlalchemy.sql.elements import AsBoolean, BooleanClauseList, Grouping, True_, UnaryExpression
from sqlalchemy.sql.operators import is_true

from libs.sql.filters import Field, compile_filter
from services.webhooks import rows
from services.webhooks.domain.event import Event

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class _Decided:
    """A field of one event: its conditions are true or false."""

    holds: Callable[[str, str], bool]

    def condition(self, sign: str, value: str) -> ColumnElement[bool]:
        return true() if self.holds(sign, value) else false()


def matching(query: str) -> Callable[[Event], bool]:
    """Whether an event matches; raises InvalidArgument as the real filter does."""
    compile_filter(query, rows.FILTERS)

    def matches(event: Event) -> bool:
        return _is_true(compile_filter(query, _fields(event)))

    return matches


def _is_true(condition: object) -> bool:
    match condition:
        case BooleanClauseList(operator=operator.and_):
            return all(map(_is_true, condition.clauses))
        case BooleanClauseList():
            return any(map(_is_true, condition.clauses))
        case Grouping():
            return _is_true(condition.element)
        case AsBoolean():
            return _is_true(condition.element) is (condition.operator is is_true)
        case UnaryExpression():
            return not _is_true(condition.element)
        case _:
            return isinstance(condition, True_)


def _fields(event: Event) -> dict[str, Field]:
    return {
        "source": _text(event.source),
        "type": _text(event.type),
        "state": _text(event.state),
        "origin": _text(event.origin),
        "reason": _text(event.reason or ""),
        "acquisition": _one_of(event.progress.acquisitions),
        "name": _text(f"events/{event.id}"),
        "conflicting_event": _text(f"events/{event.conflicting_event}"),
        "receive_time": _Decided(
            lambda sign, value: _COMPARISONS[sign](event.received_at, datetime.fromisoformat(value))
        ),
    }


def _text(text: str) -> Field:
    def holds(sign: str, value: str) -> bool:
        if "*" not in value:
            return _COMPARISONS[sign](text, value)
        starts, ends = value.startswith("*"), value.endswith("*")
        body = value.strip("*")
        test = text.__contains__ if starts and ends else text.endswith if starts else text.startswith
        return test(body) == (sign == "=")

    return _Decided(holds)


def _one_of(names: tuple[str, ...]) -> Field:
    return _Decided(lambda sign, value: (value in names) == (sign == "="))
