"""Where the secrets of this service are sealed, and what each is bound to."""

from typing import Any

from sqlalchemy import Row

from libs.crypto.resealing import SealedColumn
from services.webhooks.tables import source_secret


def _secret(row: Row[Any]) -> str:
    return f"source {row.source} secret {row.id}"


SEALED = (SealedColumn(column=source_secret.c.sealed, context=_secret),)
