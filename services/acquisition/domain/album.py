"""The album that somebody wants, and what makes two wishes the same wish."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """A track that must arrive: `disc` and `number` count from 1."""

    disc: int
    number: int
    title: str
    duration: timedelta | None = None

    def to_json(self) -> dict[str, Any]:
        """The track as plain JSON values."""
        return {"disc": self.disc, "number": self.number, "title": self.title, "duration_ms": _to_ms(self.duration)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Track":
        """The track that `to_json` wrote."""
        return cls(
            disc=data["disc"], number=data["number"], title=data["title"], duration=_from_ms(data.get("duration_ms"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """An album as a person names it; without `tracks`, the numbers and tags of what arrives must tell a whole album."""

    artist: str
    title: str
    release_group_mbid: str | None = None
    year: int | None = None
    tracks: tuple[Track, ...] = ()
    release_mbid: str | None = None  # of the one edition that is wanted

    def key(self) -> str:
        """What two wishes for the same album share; never empty, no longer than the names by more than one character.

        The release group where it is known, else artist and title after `folded`. Deliberately cautious: featured
        artists, edition brackets and the year of a reissue are kept ("OK Computer" and "OK Computer (OKNOTOK)" are two
        albums), because fetching an album twice is repaired by deleting, and never fetching it is not noticed.
        """
        if self.release_group_mbid:
            return self.release_group_mbid.strip().lower()
        return f"{folded(self.artist)}\x1f{folded(self.title)}"

    def to_json(self) -> dict[str, Any]:
        """The album as plain JSON values."""
        edition = {"release_mbid": self.release_mbid} if self.release_mbid else {}  # left out, as older versions did
        return edition | {
            "artist": self.artist,
            "title": self.title,
            "release_group_mbid": self.release_group_mbid,
            "year": self.year,
            "tracks": [track.to_json() for track in self.tracks],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Album":
        """The album that `to_json` wrote."""
        return cls(
            artist=data["artist"],
            title=data["title"],
            release_group_mbid=data.get("release_group_mbid"),
            year=data.get("year"),
            tracks=tuple(Track.from_json(track) for track in data.get("tracks", ())),
            release_mbid=data.get("release_mbid"),
        )


def folded(name: str) -> str:
    """A name without the differences that typists make: width, case, punctuation, runs of spaces.

    Symbols stay ("+", "÷" and "=" are three albums of one artist), and a name of nothing but punctuation stays whole.
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    words = "".join(" " if unicodedata.category(char)[0] in "PZC" else char for char in text).split()
    return " ".join(words) or " ".join(text.split()) or name


def _to_ms(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // _MILLISECOND


def _from_ms(milliseconds: int | None) -> timedelta | None:
    return None if milliseconds is None else timedelta(milliseconds=milliseconds)
