"""Lidarr's queue as the webhooks that should have told of its rows. That a row is absent proves nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from services.webhooks.domain import lidarr
from services.webhooks.domain.backfill import Found
from services.webhooks.domain.document import Document
from services.webhooks.domain.history import date_of

_STUCK = frozenset({"importFailed", "importBlocked"})
_KEPT = ("id", "albumId", "artistId", "downloadId", "title", "added", "trackedDownloadState", "statusMessages")


def read_queue(rows: Iterable[Document], *, skew: timedelta) -> list[Found]:
    """What the rows tell: `skew` is our clock minus Lidarr's."""
    found: dict[tuple[str, ...], Found] = {}
    for row in rows:
        added = date_of(row.get("added"))
        for document in _documents(row):
            each = _found(document, row, None if added is None else added + skew)
            if each.facts:
                found.setdefault(each.facts, each)
    return list(found.values())


def _documents(row: Mapping[str, Any]) -> list[Document]:
    """A row without a download or an album is somebody's delayed release, or not matched: it tells nothing yet."""
    album_id, download_id = row.get("albumId"), row.get("downloadId")
    if not isinstance(album_id, int) or not isinstance(download_id, str) or not download_id:
        return []
    told: Document = {"downloadId": download_id, "artist": {"id": row.get("artistId")}}
    if isinstance(client := row.get("downloadClient"), str):
        told["downloadClient"] = client
    release = {"releaseTitle": row.get("title"), "indexer": row.get("indexer"), "size": row.get("size")}
    grab: Document = told | {"eventType": "Grab", "albums": [{"id": album_id}], "release": release}
    if not _is_stuck(row):
        return [grab | {"queue": _kept(row, stuck=False)}]
    stuck: Document = told | {"eventType": "ImportFailure", "album": {"id": album_id}}
    return [grab | {"queue": _kept(row, stuck=False)}, stuck | {"queue": _kept(row, stuck=True)}]


def _is_stuck(row: Mapping[str, Any]) -> bool:
    state, status = row.get("trackedDownloadState"), row.get("trackedDownloadStatus")
    return state in _STUCK or (state == "importPending" and status == "warning")


def _kept(row: Mapping[str, Any], *, stuck: bool) -> Document:
    """Of the raw row what stays the same: two looks at it make the same event."""
    names = _KEPT if stuck else _KEPT[:-2]
    return {name: row[name] for name in names if name in row}


def _found(document: Document, row: Mapping[str, Any], at: datetime | None) -> Found:
    facts = lidarr.fact_keys(document)
    return Found(
        key=f"queue:{','.join(facts)}:{row.get('added') or '-'}",
        type=str(document["eventType"]),
        at=at,
        document=document,
        order_key=lidarr.order_key(document),
        facts=facts,
    )
