"""What a caller asks for, and what makes two calls the same call."""

import hashlib
import json
from dataclasses import dataclass

from libs.errors import FailedPrecondition, InvalidArgument
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source


class RequestIdReused(InvalidArgument):
    """The request id was used for another wish."""

    reason = "REQUEST_ID_REUSED"


class MusicPathNotSet(FailedPrecondition):
    """Nobody said where the library is."""

    reason = "MUSIC_PATH_NOT_SET"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An album, from a source or (None) from the one in the settings.

    `request_id` makes a repeated call the same call; `actor` is who asks, for the audit.
    """

    album: Album
    source: Source | None = None
    request_id: str | None = None
    actor: str = ""

    def fingerprint(self) -> str:
        """Equal for equal wishes: SHA-256 over what was asked, the request id aside."""
        text = json.dumps([self.album.to_json(), self.source], sort_keys=True, ensure_ascii=True)
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
