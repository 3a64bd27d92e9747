"""What a caller asks for, and what makes two calls the same call."""

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from libs.errors import FailedPrecondition, InvalidArgument
from services.acquisition.domain.acquisition import USUAL_PRIORITY
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source


class RequestIdReused(InvalidArgument):
    """The request id was used for another wish."""

    reason = "REQUEST_ID_REUSED"


class MusicPathNotSet(FailedPrecondition):
    """Nobody said where the library is."""

    reason = "MUSIC_PATH_NOT_SET"


class Scope(StrEnum):
    """Within what the same album is the same acquisition: whoever asks, or each requester for itself."""

    GLOBAL = "GLOBAL"
    REQUESTER = "REQUESTER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An album, from a source or (None) from the one in the settings; `priority` is 1 to 10.

    `request_id` makes a repeated call the same call; `actor` is who asks; `batch` is what it belongs to, by its id.
    """

    album: Album
    source: Source | None = None
    fallback: Source | None = None
    priority: int = USUAL_PRIORITY
    request_id: str | None = None
    actor: str = ""
    batch: str | None = None

    def key(self, scope: Scope) -> str:
        """What two wishes for the same album share, of all callers or of this one."""
        key = self.album.key()
        return key if scope is Scope.GLOBAL else f"{self.actor}\x1f{key}"

    def fingerprint(self) -> str:
        """Equal for equal wishes: SHA-256 over what was asked, the request id aside."""
        asked: list[Any] = [self.album.to_json(), self.source]
        if self.fallback is not None or self.priority != USUAL_PRIORITY:
            asked += [self.fallback, self.priority]  # only then: older versions knew neither
        text = json.dumps(asked, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


def request_id_reused() -> RequestIdReused:
    """The error for a request id that belongs to another wish."""
    return RequestIdReused(
        "request_id: was used for another album or source before",
        violations=InvalidArgument.field(
            "request_id", "was used for another album or source before", reason="REQUEST_ID_REUSED"
        ).violations,
    )


def music_path_not_set() -> MusicPathNotSet:
    """The error for a library that nobody named."""
    return MusicPathNotSet(
        "The music folder is not set: set storage.musicPath (or MUSIC_PATH), then try again.",
        metadata={"setting": "storage.musicPath"},
    )
