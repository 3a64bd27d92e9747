"""The shapes of MusicBrainz' JSON (web service version 2): keys with dashes, nulls where nothing is known."""

from typing import Any

from deploy.demo.musicbrainz.catalogue import Group, Medium, Recording, Release, mbid

Json = dict[str, Any]


def error(message: str) -> Json:
    """What goes with a status that is no success."""
    return {"error": message, "help": "For usage, please see: https://musicbrainz.org/development/mmd"}


def group(row: Group) -> Json:
    """A release group with its artists."""
    return {
        "id": row.mbid,
        "title": row.title,
        "disambiguation": "",
        "first-release-date": row.date,
        "primary-type": row.kind,
        "primary-type-id": mbid(row.kind),
        "secondary-types": list(row.secondary),
        "secondary-type-ids": [mbid(kind) for kind in row.secondary],
        "artist-credit": _credit(row),
    }


def match(row: Group, score: int) -> Json:
    """A release group as a search lists it: without secondary types where there are none."""
    found = group(row) | {"score": score, "type-id": mbid(row.kind), "count": len(row.releases)}
    return found if row.secondary else {key: value for key, value in found.items() if not key.startswith("secondary")}


def release(row: Release, owner: Group, *, with_group: bool = False) -> Json:
    """A release with its media and recordings."""
    body = {
        "id": row.mbid,
        "title": row.title,
        "status": row.status,
        "status-id": mbid(row.status) if row.status else None,
        "disambiguation": row.disambiguation,
        "date": row.date,
        "country": "XW",
        "barcode": None,
        "quality": "normal",
        "packaging": None,
        "artist-credit": _credit(owner),
        "media": [_medium(position, medium) for position, medium in enumerate(row.media, 1)],
    }
    return body | ({"release-group": group(owner)} if with_group else {})


def _credit(row: Group) -> list[Json]:
    artist = {"id": mbid(row.artist), "name": row.artist, "sort-name": row.artist, "disambiguation": ""}
    return [{"name": row.artist, "joinphrase": "", "artist": artist}]


def _medium(position: int, medium: Medium) -> Json:
    body: Json = {"position": position, "title": "", "format": medium.format, "format-id": mbid(medium.format)}
    if medium.tracks is not None:
        body |= {"track-count": len(medium.tracks), "track-offset": 0}
        body["tracks"] = [_track(number, recording) for number, recording in enumerate(medium.tracks, 1)]
    if medium.pregap:
        body["pregap"] = _track(0, medium.pregap)
    if medium.data:
        first = len(medium.tracks or ()) + 1
        body["data-tracks"] = [_track(number, recording) for number, recording in enumerate(medium.data, first)]
    return body


def _track(position: int, row: Recording) -> Json:
    return {
        "id": mbid(f"track {position} {row.title}"),
        "number": str(position),
        "position": position,
        "title": row.title,
        "length": row.milliseconds,
        "recording": {
            "id": mbid(row.title),
            "title": row.title,
            "length": row.milliseconds,
            "video": row.video,
            "disambiguation": "",
        },
    }
