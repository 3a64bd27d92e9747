"""A row of Kima's, every value as text: read with suspicion, each oddity told."""

import hashlib
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from deploy.cli.importing.report import Unusable

Tell = Callable[[str, str], None]  # a column, and what is odd about it

_NUMBER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_YES, _NO = frozenset({"true", "t"}), frozenset({"false", "f"})


class Row:
    """One row; `tell` takes what is odd about a column."""

    def __init__(self, values: Mapping[str, str | None], tell: Tell) -> None:
        self._values = values
        self.tell = tell
        self.id = self.text("id")

    def text(self, column: str) -> str:
        """A text without what no database here can hold; empty where there is none."""
        return clean(self._values.get(column) or "").strip()

    def needed(self, column: str) -> str:
        """A text; raises Unusable where there is none."""
        return self.text(column) or _raise(column, "is empty")

    def boolean(self, column: str) -> bool:
        """True or false; raises Unusable for neither."""
        text = self.text(column).lower()
        return text in _YES or (text not in _NO and bool(_raise(column, "is neither true nor false")))

    def number(self, column: str) -> int:
        """A whole number, 0 where there is none."""
        text = self.text(column)
        if not text or _NUMBER.fullmatch(text):
            return int(text or 0)
        self.tell(column, "is no whole number: taken as 0")
        return 0

    def time(self, column: str) -> datetime | None:
        """A time; Kima's have no zone and are in UTC. One that cannot be read is told and left out."""
        text = self.text(column)
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.tell(column, "is no time that can be kept: left out")
            return None

    def document(self, column: str) -> Mapping[str, Any]:
        """A JSON object; anything else is told and counts as an empty one."""
        text = self._values.get(column)
        if not text or text == "null":
            return {}
        try:
            found = orjson.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
        self.tell(column, "is no JSON object: left out")
        return {}


def clean(text: str) -> str:
    """A text without NUL and lone surrogates."""
    return text.encode(errors="ignore").decode().replace("\0", "")


def derived_id(prefix: str, kima_id: str) -> str:
    """The id that a row of Kima's has here: the same each time, so that importing twice is importing once."""
    return f"{prefix}-kima-{hashlib.sha256(kima_id.encode()).hexdigest()[:32]}"


def _raise(column: str, why: str) -> str:
    raise Unusable(column, why)
