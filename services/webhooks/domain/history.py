"""Lidarr's history, row by row, as the webhooks that should have told it.

Rows are per album or per track; only Grab, Download, DownloadFailure, ImportFailure, Rename and Retag have a row. Row 5
(deleted) and 10 (ignored) have no webhook; ArtistAdd, deletes, Health and updates have no row.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.webhooks.domain import lidarr
from services.webhooks.domain.backfill import OVERLAP, Found
from services.webhooks.domain.document import Document

WATERMARK = "lidarr-history"
_KEPT = (  # of a raw row: the other fields may change from one look to the next
    *("id", "eventType", "date", "albumId", "artistId", "trackId"),
    *("downloadId", "sourceTitle", "quality", "data"),
)
_YEARS = range(2000, 9000)
_NAMES = {  # of the kinds that a row may give as a number
    1: "grabbed",
    3: "trackFileImported",
    4: "downloadFailed",
    6: "trackFileRenamed",
    7: "albumImportIncomplete",
    8: "downloadImported",
    9: "trackFileRetagged",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One thing that Lidarr wrote down; `date` is of its clock."""

    id: int
    kind: str
    date: datetime
    document: Document
    facts: tuple[str, ...]

    @property
    def key(self) -> str:
        """Unique even where another Lidarr, or a new database, counts from 1 again."""
        return f"{self.id}:{int(self.date.timestamp() * 1000)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the history was read, by Lidarr's clock: `begin` is where we began, `date` the newest row seen.

    `seen` are the keys of the rows within the overlap: they are not looked at again.
    """

    begin: datetime
    date: datetime
    seen: frozenset[str] = frozenset()

    @property
    def since(self) -> datetime:
        """From where to read."""
        return max(self.begin, self.date - OVERLAP)

    def until(self, now: datetime) -> "Cursor":
        """Not beyond the present: Lidarr's clock may have been set back since."""
        return self if self.date <= now else replace(self, begin=min(self.begin, now - OVERLAP), date=now)

    def after(self, rows: Iterable[HistoryRow]) -> "Cursor":
        """Behind these rows."""
        dates = {row.key: row.date for row in rows}
        date = max([self.date, *dates.values()])
        moved = Cursor(begin=self.begin, date=date)
        kept = {
            key for key in self.seen if datetime.fromtimestamp(int(key.partition(":")[2]) / 1000, UTC) >= moved.since
        }
        seen = kept | {key for key, each in dates.items() if each >= moved.since}
        return Cursor(begin=self.begin, date=date, seen=frozenset(seen))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"begin": self.begin.isoformat(), "date": self.date.isoformat(), "seen": sorted(self.seen)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Cursor":
        """What `to_json` wrote."""
        begin, date = datetime.fromisoformat(data["begin"]), datetime.fromisoformat(data["date"])
        return cls(begin=begin, date=date, seen=frozenset(data["seen"]))


def read_rows(listed: Iterable[Document]) -> list[HistoryRow]:
    """The rows that have a webhook, oldest first; what is not a row of Lidarr's is passed over."""
    rows = [row for raw in listed if (row := _row(raw))]
    return sorted(rows, key=lambda row: (row.date, row.id))


def settled(rows: Sequence[HistoryRow], before: datetime) -> list[HistoryRow]:
    """The rows of whose facts none is younger: an import that is under way is left for later."""
    young = {fact for row in rows if row.date > before for fact in row.facts}
    return [row for row in rows if young.isdisjoint(row.facts)]


def as_found(rows: Sequence[HistoryRow], *, skew: timedelta) -> list[Found]:
    """One event for each fact, of the last row that tells it; `skew` is our clock minus Lidarr's."""
    by_facts: dict[tuple[str, ...], list[HistoryRow]] = {}
    for row in rows:
        by_facts.setdefault(row.facts, []).append(row)
    return [_found(same[-1], same[0].date + skew) for same in by_facts.values()]


def album_ids(found: Found) -> list[int]:
    """The albums that it is about."""
    named = [album.get("id") for album in _albums(found.document)]
    return [number for number in named if isinstance(number, int)]


def described(found: Found, albums: Mapping[int, Mapping[str, Any]]) -> Found:
    """With what Lidarr says of its albums, by their ids."""
    more = [_described(album, albums) for album in _albums(found.document)]
    if "album" in found.document:
        return replace(found, document=found.document | {"album": more[0]})
    return replace(found, document=found.document | {"albums": more}) if "albums" in found.document else found


def date_of(value: object) -> datetime | None:
    """A date of Lidarr's or slskd's, in UTC where it names no zone; None for anything else, and for .NET's year 1."""
    try:
        date = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if date is None or date.year not in _YEARS:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _row(raw: Mapping[str, Any]) -> HistoryRow | None:
    kind = raw.get("eventType")
    named = _NAMES.get(kind) if isinstance(kind, int) else kind
    make = _DOCUMENTS.get(named) if isinstance(named, str) else None
    number, date, data = raw.get("id"), date_of(raw.get("date")), raw.get("data")
    if make is None or date is None or not isinstance(number, int) or not isinstance(raw.get("albumId"), int):
        return None
    document = make(raw, data if isinstance(data, dict) else {})
    document |= {"history": {name: raw[name] for name in _KEPT if name in raw}}
    facts = lidarr.fact_keys(document)
    return HistoryRow(id=number, kind=str(named), date=date, document=document, facts=facts) if facts else None


def _found(row: HistoryRow, at: datetime) -> Found:
    return Found(
        key=f"history:{row.key}",
        type=str(row.document["eventType"]),
        at=at,
        document=row.document,
        order_key=lidarr.order_key(row.document),
        facts=row.facts,
    )


def _albums(document: Document) -> list[Document]:
    albums, album = document.get("albums"), document.get("album")
    return [each for each in [*(albums if isinstance(albums, list) else []), album] if isinstance(each, dict)]


def _described(album: Document, albums: Mapping[int, Mapping[str, Any]]) -> Document:
    number = album.get("id")
    known = albums.get(number, {}) if isinstance(number, int) else {}
    names = {"mbId": known.get("foreignAlbumId"), "title": known.get("title")}
    return album | {name: value for name, value in names.items() if isinstance(value, str)}


def _grab(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    release = {"releaseTitle": raw.get("sourceTitle"), "indexer": data.get("indexer"), "size": data.get("size")}
    return _common("Grab", raw, data) | {"albums": [{"id": raw["albumId"]}], "release": release}


def _download(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    file = {"id": data.get("fileId"), "path": data.get("importedPath")}
    files = [file] if file["id"] else []
    return _common("Download", raw, data) | {"album": {"id": raw["albumId"]}, "trackFiles": files}


def _download_failure(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    told = {"releaseTitle": raw.get("sourceTitle"), "message": data.get("message")}
    return _common("DownloadFailure", raw, data) | told


def _import_failure(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    told = {"album": {"id": raw["albumId"]}, "statusMessages": data.get("statusMessages")}
    return _common("ImportFailure", raw, data) | told


def _rename(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    file = {"previousPath": data.get("sourcePath"), "path": data.get("path")}
    return _common("Rename", raw, data) | {"renamedTrackFiles": [file]}


def _retag(raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    return _common("Retag", raw, data) | {"trackFile": {"path": raw.get("sourceTitle")}}


def _common(event_type: str, raw: Mapping[str, Any], data: Mapping[str, Any]) -> Document:
    told: Document = {"eventType": event_type, "artist": {"id": raw.get("artistId")}}
    named = {"downloadId": raw.get("downloadId"), "downloadClient": data.get("downloadClient")}
    return told | {name: value for name, value in named.items() if isinstance(value, str) and value}


_DOCUMENTS: Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Document]] = {
    "grabbed": _grab,
    "trackFileImported": _download,
    "downloadImported": _download,
    "downloadFailed": _download_failure,
    "trackFileRenamed": _rename,
    "albumImportIncomplete": _import_failure,
    "trackFileRetagged": _retag,
}
