"""Dedup keys: when two deliveries are the same event, told twice."""

import hashlib
import json
from datetime import datetime

from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import Document

_BUCKET_SECONDS = 60


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
