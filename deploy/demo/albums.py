"""Invented albums, and the real FLAC files that hold them, made on the spot from a fixed seed."""

import io
import random
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from mutagen.flac import FLAC

from deploy.demo import synth

_ADJECTIVES = ("Amber", "Brittle", "Crooked", "Distant", "Electric", "Foggy", "Gilded", "Hollow", "Idle", "Lunar")
_NOUNS = ("Lanterns", "Harbours", "Meridians", "Orchards", "Pendulums", "Quarries", "Rivers", "Signals", "Thickets")
_VERBS = ("Counting", "Crossing", "Following", "Leaving", "Mending", "Naming", "Painting", "Tracing", "Waking")
_SHORTEST, _LONGEST = 4, 12  # seconds
_FOUR_NOTES = 4

_read_flac: Callable[[io.BytesIO], Any] = FLAC  # mutagen has no annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track of an invented album; `seed` decides how it sounds."""

    number: int
    title: str
    seconds: float
    mbid: str
    seed: int

    @property
    def file_name(self) -> str:
        """The name under which people share it."""
        return f"{self.number:02} - {self.title}.flac"


@dataclass(frozen=True, slots=True, kw_only=True)
class Album:
    """An invented album with the ids that MusicBrainz would give it; `mbid` is its release group."""

    artist: str
    artist_mbid: str
    title: str
    mbid: str
    release_mbid: str
    year: int
    tracks: tuple[Track, ...]

    @property
    def folder_name(self) -> str:
        """The name of the folder in which people share it."""
        return f"{self.artist} - {self.title} ({self.year})"


def invent_albums(count: int, *, seed: int = 2416, tracks: int = 5) -> tuple[Album, ...]:
    """That many albums, each by an artist of its own; the same seed gives the same albums."""
    chance = random.Random(seed)
    artists = _names(chance, "The {} {}", _ADJECTIVES, _NOUNS)
    titles = _names(chance, "{} {}", _VERBS, _NOUNS)
    return tuple(_album(chance, next(artists), next(titles), tracks) for _ in range(count))


@lru_cache
def album_files(album: Album) -> tuple[bytes, ...]:
    """The album's tracks as tagged FLAC files, in order; the second and the third have the same size."""
    files = [tagged(encoded(track), album_tags(album, track)) for track in album.tracks]
    twins = files[1:3]
    files[1:3] = [padded(file, max(len(twin) for twin in twins)) for file in twins]
    return tuple(files)


def write_album(album: Album, folder: Path, *, size: int | None = None) -> list[Path]:
    """Write the album as people share it: `folder/Artist - Title (Year)/NN - Title.flac`, padded to a size if given."""
    target = folder / album.folder_name
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for track, file in zip(album.tracks, album_files(album), strict=True):
        path = target / track.file_name
        path.write_bytes(file if size is None else padded(file, size))
        paths.append(path)
    return paths


@lru_cache(maxsize=256)
def encoded(track: Track) -> bytes:
    """The track's sound as a FLAC file without tags."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=synth.RATE, layout="stereo")
        for frame in _frames(synth.stereo(track.seed, track.seconds, notes=_FOUR_NOTES)):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def tagged(file: bytes, tags: dict[str, str]) -> bytes:
    """The FLAC file with these tags instead of its own, and no padding."""
    buffer = io.BytesIO(file)
    audio = _read_flac(buffer)
    audio.clear()
    audio.update(tags)
    buffer.seek(0)
    audio.save(buffer, padding=lambda _info: 0)
    return buffer.getvalue()


def padded(file: bytes, size: int) -> bytes:
    """The FLAC file made exactly `size` bytes long, by padding between its tags and its sound."""
    missing = size - len(file)
    if missing < 0:
        raise ValueError(f"the file has {len(file)} bytes already, more than {size}")
    buffer = io.BytesIO(file)
    audio = _read_flac(buffer)
    buffer.seek(0)
    audio.save(buffer, padding=lambda _info: missing)
    return buffer.getvalue()


def album_tags(album: Album, track: Track) -> dict[str, str]:
    """What a well-kept file of this track says about itself."""
    return {
        "ARTIST": album.artist,
        "ALBUMARTIST": album.artist,
        "ALBUM": album.title,
        "TITLE": track.title,
        "TRACKNUMBER": str(track.number),
        "TRACKTOTAL": str(len(album.tracks)),
        "DISCNUMBER": "1",
        "DATE": str(album.year),
        "MUSICBRAINZ_ARTISTID": album.artist_mbid,
        "MUSICBRAINZ_RELEASEGROUPID": album.mbid,
        "MUSICBRAINZ_TRACKID": track.mbid,
    }


def _album(chance: random.Random, artist: str, title: str, tracks: int) -> Album:
    titles = _names(chance, "{} {}", _ADJECTIVES, _NOUNS)
    return Album(
        artist=artist,
        artist_mbid=_mbid(chance),
        title=title,
        mbid=_mbid(chance),
        release_mbid=_mbid(chance),
        year=chance.randint(1971, 2024),
        tracks=tuple(_track(chance, number, next(titles)) for number in range(1, tracks + 1)),
    )


def _track(chance: random.Random, number: int, title: str) -> Track:
    seconds = round(chance.uniform(_SHORTEST, _LONGEST), 1)
    return Track(number=number, title=title, seconds=seconds, mbid=_mbid(chance), seed=chance.getrandbits(32))


def _names(chance: random.Random, form: str, first: Iterable[str], second: Iterable[str]) -> Iterator[str]:
    pairs = [form.format(left, right) for left in first for right in second]
    chance.shuffle(pairs)
    return iter(pairs)


def _mbid(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _frames(samples: bytes) -> Iterator[av.AudioFrame]:
    frame = av.AudioFrame(format="s16", layout="stereo", samples=len(samples) // 4)
    frame.sample_rate = synth.RATE
    frame.planes[0].update(samples)
    yield frame
