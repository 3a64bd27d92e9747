"""Kima's webhook events: kept with their bodies, never handled again by themselves."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deploy.cli.importing.report import Unusable
from deploy.cli.importing.rows import Row, derived_id
from services.webhooks.domain.event import DeadReason, State

TABLE = "WebhookEvent"
COLUMNS = ("id", "eventId", "source", "eventType", "payload", "processed", "error", "retryCount", "createdAt")

_SOURCE = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_TRIES = 3  # then Kima's reconciler gives up
_LARGEST_BODY = 1 << 20
_LONGEST_TYPE = 100
_LONGEST_ERROR = 2000
_NOT_HANDLED = "Kima had not handled it when it was imported. Replay it to have it handled here."


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedEvent:
    """An event that has ended elsewhere; `key` is unique within its source."""

    id: str
    source: str
    type: str
    key: str
    body: bytes = field(repr=False)
    received: datetime
    state: State
    reason: DeadReason | None = None
    error: str = ""
    tries: int = 0

    @property
    def sha256(self) -> bytes:
        """Of the body."""
        return hashlib.sha256(self.body).digest()


def event_of(row: Row) -> ImportedEvent:
    """The event that a row becomes; raises Unusable for one that no sender of ours could have sent."""
    event_id = row.needed("eventId")
    state, error = _outcome(row)
    body = row.text("payload").encode()
    if len(body) > _LARGEST_BODY:
        raise Unusable("payload", f"is larger than {_LARGEST_BODY} bytes")
    return ImportedEvent(
        id=derived_id("evt", row.needed("id")),
        source=_source(row),
        type=_type(row),
        key=f"kima:{hashlib.sha256(event_id.encode()).hexdigest()}",
        body=body,
        received=row.time("createdAt") or datetime(1970, 1, 1, tzinfo=UTC),
        state=state,
        reason=DeadReason.HANDLER_ERROR if state is State.DEAD else None,
        error=error,
        tries=max(row.number("retryCount"), 0),
    )


def _outcome(row: Row) -> tuple[State, str]:
    error = row.text("error")[:_LONGEST_ERROR]
    if row.boolean("processed"):
        return State.DONE, error
    if row.number("retryCount") >= _TRIES:
        return State.DEAD, error or "Kima did not say why."
    return State.IGNORED, _NOT_HANDLED


def _source(row: Row) -> str:
    source = row.needed("source").lower()
    if not _SOURCE.fullmatch(source):
        raise Unusable("source", "is no name of a source")
    return source


def _type(row: Row) -> str:
    text = row.text("eventType")
    if len(text) > _LONGEST_TYPE or not text.isprintable():
        raise Unusable("eventType", "is no name of what a sender tells")
    return text
