"""Which offer to take: gates that an offer passes or not, then up to 100 points among those that pass.

A peer's health (slot, queue, speed) only ever orders suitable offers: it cannot lift an unsuitable one.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Any

from services.acquisition.domain import consensus, listings, matching
from services.acquisition.domain.album import Album
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.matching import Pick
from services.acquisition.domain.words import ENOUGH, essential, other_kind, share_found, words

MAX_FILE_BYTES = 2 << 30
MAX_ALBUM_BYTES = 16 << 30

FORMATS = ("flac", "wav", "aiff", "aif", "m4a", "opus", "ogg", "mp3")
"""The order of preference where the caller has none."""

_MAX_BYTES_PER_SECOND = 192_000 * 4 * 2  # 32 bit, two channels, uncompressed
_MAX_ARTWORK_BYTES = 32 << 20
_FULL_SPEED = 1 << 20  # bytes/s
_VARIOUS = frozenset({"various artists", "various", "va"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCandidate:
    """A suitable offer with its score, the parts that explain it, and which file is to be which track."""

    candidate: Candidate
    score: float
    parts: Mapping[str, float]
    selection: tuple[Pick, ...]

    def to_json(self) -> dict[str, Any]:
        """The offer as plain JSON values."""
        return {
            "candidate": self.candidate.to_json(),
            "score": self.score,
            "parts": dict(self.parts),
            "selection": [pick.to_json() for pick in self.selection],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RankedCandidate":
        """The offer that `to_json` wrote."""
        return cls(
            candidate=Candidate.from_json(data["candidate"]),
            score=data["score"],
            parts=MappingProxyType(dict(data["parts"])),
            selection=tuple(Pick.from_json(pick) for pick in data["selection"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suitable:
    """An offer that passed the gates: one format of one folder."""

    candidate: Candidate
    selection: tuple[Pick, ...]
    surplus: int


def rank(album: Album, candidates: Iterable[Candidate], *, formats: Sequence[str] = FORMATS) -> list[RankedCandidate]:
    """The suitable offers, best first; of several formats in one folder only the best."""
    suitable = _agreeing(album, [offer for whole in _joined(candidates) for offer in _suitable(album, whole)])
    usual = consensus.usual_count([(offer.candidate.peer, offer.selection) for offer in suitable])
    ranked = [_scored(album, offer, usual=usual, formats=formats) for offer in suitable]
    ranked.sort(key=lambda one: (-one.score, one.candidate.peer, one.candidate.folder))
    best: dict[tuple[str, str], RankedCandidate] = {}
    for one in ranked:
        best.setdefault((one.candidate.peer, one.candidate.folder), one)
    return list(best.values())


def _joined(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The offers with the discs of an album ("CD1", "CD2") joined under the album's folder."""

    def album_of(candidate: Candidate) -> tuple[str, str]:
        return candidate.peer, listings.album_folder(candidate.folder)

    joined = []
    for (_, folder), group in groupby(sorted(candidates, key=album_of), key=album_of):
        members = list(group)
        files = {file.path: file for member in members for file in member.files}
        joined.append(replace(members[0], folder=folder, files=tuple(files[path] for path in sorted(files))))
    return joined


def _suitable(album: Album, candidate: Candidate) -> list[_Suitable]:
    """The formats of the folder that hold the whole album; none where the folder is of another one."""
    if not _folder_fits(album, candidate):
        return []
    usable = [file for file in candidate.files if _is_usable(file)]
    offers = []
    for form in sorted({listings.extension(file.path) for file in usable}):
        files = [file for file in usable if listings.extension(file.path) == form]
        selection = matching.select(album, files)
        if selection and sum(pick.file.size for pick in selection) <= MAX_ALBUM_BYTES:
            surplus = len(files) - len(selection)
            offers.append(_Suitable(candidate=candidate, selection=selection, surplus=surplus))
    return offers


def _agreeing(album: Album, offers: list[_Suitable]) -> list[_Suitable]:
    """Without a track list: the offers that do not contradict what most peers say, with the durations so learned."""
    if album.tracks:
        return offers
    durations = consensus.usual_durations([(offer.candidate.peer, offer.selection) for offer in offers])
    return [
        replace(offer, selection=tuple(pick.lasting(durations) for pick in offer.selection))
        for offer in offers
        if not consensus.contradicts(offer.selection, durations)
    ]


def _is_usable(file: RemoteFile) -> bool:
    return (
        listings.extension(file.path) in listings.AUDIO_EXTENSIONS
        and not listings.is_hidden(file.path)
        and 0 < file.size <= MAX_FILE_BYTES
        and (not file.duration or file.size <= _most_bytes(file.duration))
    )


def _most_bytes(duration: timedelta) -> float:
    return duration.total_seconds() * _MAX_BYTES_PER_SECOND + _MAX_ARTWORK_BYTES


def _folder_fits(album: Album, candidate: Candidate) -> bool:
    named = listings.album_words(candidate.folder)
    return (
        _artist_share(album, candidate) >= ENOUGH
        and share_found(essential(words(album.title)), named) >= ENOUGH
        and not other_kind(album.title, " ".join(named), context=album.artist)
    )


def _artist_share(album: Album, candidate: Candidate) -> float:
    """How much of the artist is in the paths; a compilation's artist need not be."""
    if album.artist.casefold() in _VARIOUS:
        return 1.0
    wanted, folder = essential(words(album.artist)), words(candidate.folder)
    return min((share_found(wanted, folder + words(listings.stem(file.path))) for file in candidate.files), default=0.0)


def _scored(album: Album, offer: _Suitable, *, usual: int, formats: Sequence[str]) -> RankedCandidate:
    points = {
        "title": 20 * matching.title_closeness(album, offer.selection, offer.candidate.folder),
        "artist": 20 * (_artist_share(album, offer.candidate) + _folder_closeness(album, offer.candidate)) / 2,
        "duration": 15 * matching.duration_closeness(offer.selection),
        "quality": 20 * _mean(_quality(pick.file, formats) for pick in offer.selection),
        "coverage": 10 * _coverage(album, offer, usual),
        "slot": 6.0 * offer.candidate.free_slot,
        "queue": 5 / (1 + max(offer.candidate.queue_length, 0) / 10),
        "speed": 4 * min(1.0, math.log1p(max(offer.candidate.speed, 0)) / math.log1p(_FULL_SPEED)),
    }
    rounded = {name: round(value, 2) for name, value in points.items()}
    return RankedCandidate(
        candidate=offer.candidate,
        score=round(sum(rounded.values()), 2),
        parts=MappingProxyType(rounded),
        selection=offer.selection,
    )


def _folder_closeness(album: Album, candidate: Candidate) -> float:
    """The share of the album folder's words that the wish explains, years and formats left aside."""
    explained = words(f"{album.artist} {album.title} {album.year or ''}")
    named = [word for word in essential(listings.album_words(candidate.folder)) if not word.isdigit()]
    return share_found(named, explained)


def _quality(file: RemoteFile, formats: Sequence[str]) -> float:
    """1 for the preferred format, less down the list; a lossy file of low bitrate counts as the last."""
    form = listings.extension(file.path)
    if form not in formats or (file.bitrate is not None and 0 < file.bitrate < 192):
        return 0.0
    return 1 - formats.index(form) / len(formats)


def _coverage(album: Album, offer: _Suitable, usual: int) -> float:
    """1 where the folder holds the tracks that were asked for, or as many as most peers have, and no others."""
    if album.tracks:
        return len(album.tracks) / (len(album.tracks) + offer.surplus)
    count = len(offer.selection)
    return min(count, usual) / max(count, usual)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
