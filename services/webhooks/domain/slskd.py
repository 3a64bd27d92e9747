"""slskd's log of events, as the webhooks that it should have sent: with the same id, so that neither doubles."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.webhooks.domain.backfill import OVERLAP, Found
from services.webhooks.domain.dedup import id_key
from services.webhooks.domain.delivery import printable
from services.webhooks.domain.document import Document
from services.webhooks.domain.history import date_of

WATERMARK = "slskd-events"
DOWNLOAD_TYPES = frozenset({"DownloadFileComplete", "DownloadDirectoryComplete"})
_MAX_TYPE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRow:
    """One event of the log; `timestamp` is of slskd's clock, and for a download the time at which it ended."""

    id: str
    type: str
    timestamp: datetime
    document: Document

    @property
    def key(self) -> str:
        """The dedup key, as of the webhook."""
        return id_key(self.id)

    def found(self) -> Found:
        """The event that its webhook would have made."""
        return Found(key=self.key, type=self.type, at=None, document=self.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCursor:
    """How far the log was read: `date` is the newest row seen, `seen` are the ids of those within the overlap."""

    begin: datetime
    date: datetime
    seen: Mapping[str, datetime]

    @property
    def since(self) -> datetime:
        """From where to read: rows are sorted by a time that may be older than they are."""
        return max(self.begin, self.date - OVERLAP)

    def until(self, now: datetime) -> "LogCursor":
        """Not beyond the present: slskd's clock may have been set back since."""
        return self if self.date <= now else replace(self, begin=min(self.begin, now - OVERLAP), date=now)

    def after(self, rows: Iterable[LogRow]) -> "LogCursor":
        """Behind these rows."""
        new = {row.id: row.timestamp for row in rows}
        moved = LogCursor(begin=self.begin, date=max([self.date, *new.values()]), seen={})
        seen = {key: date for key, date in {**self.seen, **new}.items() if date >= moved.since}
        return LogCursor(begin=self.begin, date=moved.date, seen=seen)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        seen = {key: date.isoformat() for key, date in self.seen.items()}
        return {"begin": self.begin.isoformat(), "date": self.date.isoformat(), "seen": seen}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "LogCursor":
        """What `to_json` wrote."""
        begin, date = datetime.fromisoformat(data["begin"]), datetime.fromisoformat(data["date"])
        seen = {key: datetime.fromisoformat(each) for key, each in data["seen"].items()}
        return cls(begin=begin, date=date, seen=seen)


def read_log(listed: Iterable[Document]) -> list[LogRow]:
    """The rows of one page, newest first; what is not a row of slskd's is passed over."""
    return [row for raw in listed if (row := _row(raw))]


def _row(raw: Mapping[str, Any]) -> LogRow | None:
    number, kind, timestamp = raw.get("id"), raw.get("type"), date_of(raw.get("timestamp"))
    if not isinstance(number, str) or not number or not isinstance(kind, str) or timestamp is None:
        return None
    told = {"id": number, "timestamp": raw["timestamp"], "type": kind, "version": 0}
    return LogRow(
        id=number,
        type=printable(kind)[:_MAX_TYPE],
        timestamp=timestamp,
        document={**_data(raw.get("data")), **told, "history": dict(raw)},
    )


def _data(text: object) -> Document:
    """What the event says: JSON inside a string."""
    try:
        data = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
