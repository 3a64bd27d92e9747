"""Batches between the domain and their rows."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select

from libs.sql.filters import EnumField, Field, TextField, TimeField, compile_filter
from libs.sql.paging import Order, Page, PageTokens
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Failure, Source
from services.acquisition.domain.batch import AlbumState, Batch, BatchAlbum, BatchState, Counts
from services.acquisition.domain.batches import NewBatch
from services.acquisition.domain.patience import Watch
from services.acquisition.tables import batch, batch_album, engine

work = engine.work

BATCHES: Select[Any] = select(
    batch,
    work.c.state,
    work.c.version,
    work.c.updated,
    work.c.cancel_requested,
).join_from(batch, work, work.c.id == batch.c.id)
"""Batches with what the work engine knows of them."""

_FILTERS: dict[str, Field] = {
    "state": EnumField(work.c.state, {state.value: state.value for state in BatchState}),
    "title": TextField(batch.c.title),
    "requester": TextField(batch.c.owner),
    "create_time": TimeField(batch.c.created),
}
_ORDERS: dict[str, ColumnElement[object]] = {
    "create_time": batch.c.created,
    "update_time": work.c.updated,
    "name": batch.c.id,
}


def matching(filter_text: str) -> ColumnElement[bool]:
    """The condition that a filter means; raises InvalidArgument."""
    return compile_filter(filter_text, _FILTERS)


def page_of(query: Query, tokens: PageTokens) -> Page:
    """The page that a query asks for; raises InvalidArgument."""
    order = Order.parse(query.order_by, fields=_ORDERS, default="create_time desc", unique=batch.c.id)
    arguments = ["batches", query.filter, query.order_by]
    return tokens.page(size=query.page_size, token=query.page_token, order=order, arguments=arguments)


def albums_of(batch_id: str) -> Select[Any]:
    """The albums of a batch, in order."""
    return select(batch_album).where(batch_album.c.batch == batch_id).order_by(batch_album.c.position)


def counts_of(batch_ids: Iterable[str]) -> Select[Any]:
    """How many albums of some batches are in which state."""
    of_these = batch_album.c.batch.in_(list(batch_ids))
    states = select(batch_album.c.batch, batch_album.c.state, func.count().label("many")).where(of_these)
    return states.group_by(batch_album.c.batch, batch_album.c.state)


def to_counts(rows: Iterable[Row[Any]]) -> dict[str, Counts]:
    """The counts of each batch in the rows of `counts_of`."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        found.setdefault(row.batch, {})[row.state] = row.many
    return {
        batch_id: Counts(
            total=sum(states.values()),
            completed=states.get(AlbumState.COMPLETED, 0),
            failed=states.get(AlbumState.FAILED, 0) + states.get(AlbumState.CANCELLED, 0),
        )
        for batch_id, states in found.items()
    }


def batch_row(wanted: Batch, new: NewBatch) -> dict[str, Any]:
    """The row of a new batch."""
    return {
        "id": wanted.id,
        "owner": wanted.owner,
        "source": wanted.source or "",
        "fallback": wanted.fallback or "",
        "request_id": new.request_id,
        "fingerprint": new.fingerprint(),
        "created": wanted.created,
        **changing_row(wanted),
    }


def changing_row(changed: Batch) -> dict[str, Any]:
    """The columns of a batch that change."""
    return {
        "title": changed.title,
        "priority": changed.priority,
        "ended": changed.ended,
        "watch": changed.watch.to_json(),
        **_failure_row(changed.failure),
    }


def album_row(batch_id: str, album: BatchAlbum) -> dict[str, Any]:
    """The row of an album of a batch."""
    return {
        "batch": batch_id,
        "position": album.position,
        "album": album.album.to_json(),
        "key": album.album.key(),
        **changing_album_row(album),
    }


def changing_album_row(album: BatchAlbum) -> dict[str, Any]:
    """The columns of an album that change."""
    return {
        "acquisition": album.acquisition,
        "own": album.own,
        "state": album.state,
        **_failure_row(album.failure),
    }


def to_batch(row: Row[Any], albums: Iterable[Row[Any]]) -> Batch:
    """The batch of these rows."""
    return Batch(
        id=row.id,
        title=row.title,
        owner=row.owner,
        source=Source(row.source) if row.source else None,
        fallback=Source(row.fallback) if row.fallback else None,
        priority=row.priority,
        albums=tuple(_album(album) for album in albums),
        state=BatchState(row.state),
        version=row.version,
        cancelling=row.cancel_requested,
        created=row.created,
        updated=max(row.created, row.updated),  # two clocks
        ended=row.ended,
        failure=_failure(row),
        watch=Watch.from_json(row.watch),
    )


def _album(row: Row[Any]) -> BatchAlbum:
    return BatchAlbum(
        position=row.position,
        album=Album.from_json(row.album),
        acquisition=row.acquisition,
        own=row.own,
        state=AlbumState(row.state),
        failure=_failure(row),
    )


def _failure(row: Row[Any]) -> Failure | None:
    return Failure(reason=row.failure_reason, message=row.failure_message) if row.failure_reason else None


def _failure_row(failure: Failure | None) -> dict[str, Any]:
    return {
        "failure_reason": "" if failure is None else failure.reason,
        "failure_message": "" if failure is None else failure.message,
    }
