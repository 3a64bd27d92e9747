"""Which acquisitions a list shows, and in which order: the fields that callers may name."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, func

from libs.sql.filters import EnumField, Field, NumberField, TextField, TimeField, compile_filter
from libs.sql.paging import Order, Page, PageTokens
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.attempt import Source
from services.acquisition.tables import acquisition, engine

_SOURCES = {source.value: source.value for source in Source}
_CURRENT = func.coalesce(func.nullif(acquisition.c.current_source, ""), acquisition.c.source)


@dataclass(frozen=True, slots=True)
class _BatchField:
    """A batch, by its name or by its id alone."""

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Compares texts; those of one batch are found by its index."""
        batch, wanted = acquisition.c.batch, value.removeprefix("batches/")
        if operator == "=" and wanted and "*" not in wanted:
            return and_(batch.is_not(None), TextField(batch).condition("=", wanted))
        return TextField(func.coalesce(batch, "")).condition(operator, wanted)


_FILTERS: dict[str, Field] = {
    "state": EnumField(engine.work.c.state, {state.value: state.value for state in State}),
    "source": EnumField(acquisition.c.source, _SOURCES),
    "current_source": EnumField(_CURRENT, _SOURCES),
    "requester": TextField(acquisition.c.owner),
    "batch": _BatchField(),
    "priority": NumberField(engine.work.c.priority),
    "paused": EnumField(engine.work.c.paused, {"true": True, "false": False}),
    "failure_reason": TextField(acquisition.c.failure_reason),
    "artist": TextField(acquisition.c.artist),
    "title": TextField(acquisition.c.title),
    "release_group_mbid": TextField(acquisition.c.release_group_mbid),
    "create_time": TimeField(acquisition.c.created),
}
_ORDERS: dict[str, ColumnElement[object]] = {
    "create_time": acquisition.c.created,
    "update_time": engine.work.c.updated,
    "name": acquisition.c.id,
}


def matching(filter_text: str) -> ColumnElement[bool]:
    """The condition that a filter means; raises InvalidArgument."""
    return compile_filter(filter_text, _FILTERS)


def page_of(query: Query, tokens: PageTokens) -> Page:
    """The page that a query asks for; raises InvalidArgument."""
    order = Order.parse(query.order_by, fields=_ORDERS, default="create_time desc", unique=acquisition.c.id)
    return tokens.page(
        size=query.page_size, token=query.page_token, order=order, arguments=[query.filter, query.order_by]
    )
