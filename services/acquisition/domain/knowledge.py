"""What is known of an album before anybody is asked for its files: its editions, and the tracks of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from services.acquisition.domain.album import Album, Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """One release of an album, or several with the same tracks; `date` as far as known: `1997`, `1997-05-21`, or empty.

    `release_mbid` is empty where nobody told it; `disambiguation` tells an edition that is not the plain one.
    """

    release_mbid: str
    title: str
    tracks: tuple[Track, ...]
    disambiguation: str = ""
    official: bool = True
    date: str = ""

    def to_json(self) -> dict[str, Any]:
        """The edition as plain JSON values."""
        return {
            "release_mbid": self.release_mbid,
            "title": self.title,
            "tracks": [track.to_json() for track in self.tracks],
            "disambiguation": self.disambiguation,
            "official": self.official,
            "date": self.date,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Edition":
        """The edition that `to_json` wrote."""
        return cls(**{**data, "tracks": tuple(Track.from_json(track) for track in data["tracks"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """An album as those spell it who know it; the best edition first, without any where no track list is known."""

    artist: str
    title: str
    release_group_mbid: str | None = None
    year: int | None = None
    editions: tuple[Edition, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The knowledge as plain JSON values."""
        return {
            "artist": self.artist,
            "title": self.title,
            "release_group_mbid": self.release_group_mbid,
            "year": self.year,
            "editions": [edition.to_json() for edition in self.editions],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Knowledge":
        """The knowledge that `to_json` wrote."""
        return cls(**{**data, "editions": tuple(Edition.from_json(edition) for edition in data["editions"])})


class KnowledgeAway(Exception):
    """Whoever knows cannot answer at the moment: ask again, after `retry_after` where it said so. Never "not found"."""

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Knower(Protocol):
    """Who may know an album."""

    async def knowledge(self, album: Album) -> Knowledge | None:
        """What it knows, or None where it does not know the album; raises KnowledgeAway."""
        ...
