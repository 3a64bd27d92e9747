"""Dedup keys: when two deliveries are the same event, told twice."""

import hashlib
import json
import re
from datetime import datetime

from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import Document

_BUCKET_SECONDS = 60
_CLEAR = re.compile(r"[!\"$-~]{1,200}")  # printable ASCII without the `#` that marks contradictions


def id_key(delivery_id: str) -> str:
    """The key of a delivery that names its id: as it is where that is short and plain, else its hash."""
    if _CLEAR.fullmatch(delivery_id):
        return f"id:{delivery_id}"
    return f"id-sha256:{hashlib.sha256(delivery_id.encode(errors='surrogatepass')).hexdigest()}"


def body_key(delivery: Delivery) -> str:
    """The key of a delivery that names no id: the same bytes are the same event."""
    return f"body-sha256:{hashlib.sha256(delivery.body).hexdigest()}"


def lidarr_key(delivery: Delivery, document: Document) -> str:
    """The key of a delivery of Lidarr, which names no delivery id.

    A body that names a download or imported files happens once: its type, download, albums, files and bytes are the
    key, so several albums of one download stay apart. Any other body (Health, Test, ImportFailure, a second Rename)
    may truly happen again with the same bytes: such deliveries are the same event only within a minute.
    """
    download, files = _text(document.get("downloadId")), _ids(document.get("trackFiles"))
    bucket = 0 if download or files else _bucket(delivery.received_at)
    albums = _ids(document.get("albums")) or _ids([document.get("album")])
    body = hashlib.sha256(delivery.body).hexdigest()
    facts = [_text(document.get("eventType")), download, albums, files, body, bucket]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _ids(items: object) -> list[int]:
    found = [item.get("id") for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return sorted(number for number in found if isinstance(number, int))


def _bucket(moment: datetime) -> int:
    return int(moment.timestamp()) // _BUCKET_SECONDS
