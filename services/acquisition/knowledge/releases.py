"""MusicBrainz' releases, read: what of their media is a track of the album."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from services.acquisition.domain.album import Track
from services.acquisition.domain.knowledge import Edition
from services.acquisition.knowledge import release_groups

MOST_TRACKS = 500  # of an album, as in a request

_OFFICIAL = "Official"
_LARGEST = 10_000

_PICTURES = ("dvd-video", "dvd", "blu-ray", "vhs", "vcd", "svcd", "laserdisc", "betamax", "umd", "hd-dvd")

Row = Mapping[str, Any]


def read_page(page: Row) -> dict[str, Any] | None:
    """One page of a group's releases, those with a track list; None where the group has none at all."""
    listed = page["releases"]
    if not listed:
        return None
    editions = [edition.to_json() for row in listed if (edition := read(row)) is not None]
    return {"count": _number(page["release-count"]), "seen": len(listed), "editions": editions}


def read_with_group(row: Row) -> dict[str, Any] | None:
    """One release with its group; None where it has no track list."""
    edition = read(row)
    if edition is None:
        return None
    group = {"artist-credit": row["artist-credit"], **row["release-group"]}
    return {"edition": edition.to_json(), "group": release_groups.read(group)}


def read(row: Row) -> Edition | None:
    """A release; None where not all of its tracks are known, or where it has more than an album can have."""
    media = _audible(row["media"])
    tracks = tuple(track for disc, medium in enumerate(media, 1) for track in _tracks(disc, medium))
    if not all(medium.get("tracks") for medium in media) or not 0 < len(tracks) <= MOST_TRACKS:
        return None
    return Edition(
        release_mbid=str(row["id"]),
        title=str(row["title"]),
        tracks=tracks,
        disambiguation=str(row.get("disambiguation") or ""),
        official=row.get("status") == _OFFICIAL,
        date=str(row.get("date") or ""),
    )


def _audible(media: list[Row]) -> list[Row]:
    """The media in their order, without those for the eye: they count no disc."""
    return [
        medium
        for medium in sorted(media, key=lambda medium: _number(medium["position"]))
        if not _is_for_the_eye(medium) and (not medium.get("tracks") or any(_tracks(1, medium)))
    ]


def _is_for_the_eye(medium: Row) -> bool:
    kind = (medium.get("format") or "").lower()
    return kind.endswith("laserdisc") or kind in _PICTURES


def _tracks(disc: int, medium: Row) -> Iterator[Track]:
    """Without the pregap and the data tracks, which are listed elsewhere, and without videos."""
    for row in medium.get("tracks") or ():
        recording = row.get("recording") or {}
        if not recording.get("video"):
            yield Track(disc=disc, number=_number(row["position"]), title=str(row["title"]), duration=_length(row))


def _number(value: Any) -> int:
    """A count or a position; raises ValueError for what cannot be one."""
    number = int(value)
    if not 0 < number <= _LARGEST:
        raise ValueError(f"{number} counts nothing")
    return number


def _length(row: Row) -> timedelta | None:
    length = row.get("length") or (row.get("recording") or {}).get("length")
    return timedelta(milliseconds=int(length)) if length else None
