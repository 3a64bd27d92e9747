"""Files that are not what their names say."""

from dataclasses import replace
from pathlib import Path

from deploy.demo.albums import Album, album_files, album_tags, encoded, tagged, write_album
from deploy.demo.soulseek.plan import Behaviour

_TEXT = b"This was never music. "
_STRANGER = {
    "ARTIST": "Somebody Else",
    "ALBUMARTIST": "Somebody Else",
    "ALBUM": "Another Record",
    "MUSICBRAINZ_RELEASEGROUPID": "5f0c8a34-6d2b-4b7e-9a51-3c1de0f7a942",
}


def write_shared(album: Album, folder: Path, behaviour: Behaviour, *, size: int | None = None) -> list[Path]:
    """Write the album as a peer of this behaviour shares it: right names, wrong content if the behaviour says so."""
    paths = write_album(album, folder, size=size)
    spoil = {
        Behaviour.OTHER_AUDIO: _other_audio,
        Behaviour.OTHER_TAGS: _other_tags,
        Behaviour.TRUNCATED: _truncated,
        Behaviour.RENAMED_TEXT: _renamed_text,
    }.get(behaviour)
    for number, path in enumerate(paths) if spoil else ():
        assert spoil is not None
        path.write_bytes(spoil(album, number))
    return paths


def _other_audio(album: Album, number: int) -> bytes:
    track = album.tracks[number]
    other = replace(track, seed=track.seed ^ 1, seconds=track.seconds + 20)
    return tagged(encoded(other), album_tags(album, track))


def _other_tags(album: Album, number: int) -> bytes:
    track = album.tracks[number]
    other = replace(track, seed=track.seed ^ 1)
    numbered = {"TITLE": f"Another Song {number + 1}", "TRACKNUMBER": str(track.number), "DISCNUMBER": "1"}
    return tagged(encoded(other), _STRANGER | numbered)


def _truncated(album: Album, number: int) -> bytes:
    file = album_files(album)[number]
    return file[: len(file) * 2 // 3]


def _renamed_text(album: Album, number: int) -> bytes:
    size = len(album_files(album)[number])
    return (_TEXT * (size // len(_TEXT) + 1))[:size]
