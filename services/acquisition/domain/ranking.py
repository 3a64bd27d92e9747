"""Which offer to take: gates that an offer passes or not, then up to 100 points among those that pass.

    title 20, artist and folder 20     identity: how surely it is the album
    duration 15, quality 20, coverage 10
    slot 6, queue 5, speed 3, history 1, less for failures      health of the peer

An offer's worth is all of it but the health. Health only ever orders offers of the same identity class: an offer that
would miss `FLOOR` with the healthiest of peers is not taken, and no health lifts a doubtful one over a sure one.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Any

from services.acquisition.domain import consensus, listings, matching
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.artwork import cover_among
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.matching import Matcher, Pick
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.reputation import PeerRecord
from services.acquisition.domain.words import ENOUGH, essential, kinds, share_found, words

MAX_FILE_BYTES = 2 << 30
MAX_ALBUM_BYTES = 16 << 30
MOST_FOLDERS = 400  # looked into, those that are named best; of one peer a tenth
MOST_FILES = 1000  # of one folder

FLOOR = 60.0
HEALTH = 15.0  # the most that slot, queue, speed and history give
SURE, WEAK = 28.0, 20.0  # of the 40 points of identity; under WEAK an offer is not taken

_LOSSLESS = frozenset({"flac", "wav", "aiff"})
_USUAL = Taste()
_SAME_FORMAT = {"aif": "aiff"}
_MAX_BYTES_PER_SECOND = 192_000 * 4 * 2  # 32 bit, two channels, uncompressed
_MAX_ARTWORK_BYTES = 32 << 20
_FULL_BITRATE = 320
_UNSTATED = 0.9  # what a lossy file that tells no bit rate keeps of its quality
_FULL_SPEED = 1 << 20  # bytes/s
_VARIOUS = frozenset({"various artists", "various", "va"})

Tracklist = tuple[Track, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedCandidate:
    """A suitable offer: its score, the parts that explain it, and which file is to be which track.

    `edition` says which of the ranked track lists it holds; of that, tracks may be missing unless it is `whole`.
    """

    candidate: Candidate
    score: float
    parts: Mapping[str, float]
    selection: tuple[Pick, ...]
    whole: bool = True
    edition: int = 0
    cover: RemoteFile | None = None

    @property
    def sure(self) -> bool:
        """Whether its names leave little doubt that it is the album."""
        return self.parts["title"] + self.parts["artist"] >= SURE

    def bare(self) -> "RankedCandidate":
        """The offer without the files of its folder that are not needed."""
        return replace(self, candidate=replace(self.candidate, files=()))

    def to_json(self) -> dict[str, Any]:
        """The offer as plain JSON values."""
        return {
            "candidate": self.candidate.to_json(),
            "score": self.score,
            "parts": dict(self.parts),
            "selection": [pick.to_json() for pick in self.selection],
            "whole": self.whole,
            "edition": self.edition,
            "cover": None if self.cover is None else self.cover.to_json(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RankedCandidate":
        """The offer that `to_json` wrote."""
        cover = data.get("cover")
        return cls(
            candidate=Candidate.from_json(data["candidate"]),
            score=data["score"],
            parts=MappingProxyType(dict(data["parts"])),
            selection=tuple(Pick.from_json(pick) for pick in data["selection"]),
            whole=data.get("whole", True),
            edition=data.get("edition", 0),
            cover=None if cover is None else RemoteFile.from_json(cover),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suitable:
    """An offer that passed the gates: one format of one folder."""

    candidate: Candidate
    selection: tuple[Pick, ...]
    surplus: int


def rank(
    album: Album,
    candidates: Iterable[Candidate],
    *,
    lists: Sequence[Tracklist] = (),
    taste: Taste = _USUAL,
    records: Mapping[str, PeerRecord] = MappingProxyType({}),
) -> list[RankedCandidate]:
    """The suitable offers of the whole album, best first; of several formats in one folder only the best."""
    found = rank_all(album, candidates, lists=lists, taste=taste, records=records)
    return [one for one in found if one.whole]


def rank_all(
    album: Album,
    candidates: Iterable[Candidate],
    *,
    lists: Sequence[Tracklist] = (),
    taste: Taste = _USUAL,
    records: Mapping[str, PeerRecord] = MappingProxyType({}),
) -> list[RankedCandidate]:
    """The suitable offers, best first: those of the whole album, then those of a part of it.

    `lists` are the track lists of the album's editions, the likeliest first (by default the album's own): an offer
    counts as the edition that it holds best, the earlier one where two are equal. `records` tell of the peers; whoever
    is blocked must not be among the candidates.
    """
    folders = _worth_a_look(album, _joined(candidates))
    ranked = [
        one
        for edition, tracks in enumerate(lists or (album.tracks,))
        for one in _Ranking(replace(album, tracks=tracks), edition, taste, records).rank(folders)
    ]
    ranked.sort(key=_order)
    best: dict[tuple[str, str], RankedCandidate] = {}
    for one in ranked:
        best.setdefault((one.candidate.peer, one.candidate.folder), one)
    return list(best.values())


def _order(one: RankedCandidate) -> tuple[bool, bool, float, int, str, str]:
    return not one.whole, not one.sure, -one.score, one.edition, one.candidate.peer, one.candidate.folder


def _joined(candidates: Iterable[Candidate]) -> list[Candidate]:
    """The offers with the discs of an album ("CD1", "CD2") joined under the album's folder."""
    placed = [(one.peer, listings.album_folder(one.folder), one.folder, at, one) for at, one in enumerate(candidates)]
    placed.sort(key=lambda place: place[:4])
    joined = []
    for (_, folder), group in groupby(placed, key=lambda place: place[:2]):
        members = [place[4] for place in group]
        if len(members) == 1 and members[0].folder == folder:
            joined.append(members[0])
            continue
        files = {file.path: file for member in members for file in member.files}
        joined.append(replace(members[0], folder=folder, files=tuple(files[path] for path in sorted(files))))
    return joined


def _worth_a_look(album: Album, folders: Iterable[Candidate]) -> list[Candidate]:
    """The folders of the album, at most `MOST_FOLDERS`: whoever answers with thousands gets no more attention."""
    named = [one for one in folders if _can_be_kept(one.peer) and _can_be_kept(one.folder)]
    fitting = [(_folder_closeness(album, one), one) for one in named if _folder_fits(album, one)]
    fitting.sort(key=lambda pair: (-pair[0], not pair[1].free_slot, pair[1].queue_length, pair[1].peer))
    of_peer: dict[str, int] = {}
    taken = []
    for _, one in fitting:
        of_peer[one.peer] = of_peer.get(one.peer, 0) + 1
        if of_peer[one.peer] <= MOST_FOLDERS // 10 and len(one.files) <= MOST_FILES:
            taken.append(one)
    return taken[:MOST_FOLDERS]


def _folder_fits(album: Album, candidate: Candidate) -> bool:
    named = listings.album_words(candidate.folder)
    title = words(album.title)
    return (
        share_found(essential(title), named) >= ENOUGH
        and not (kinds(title) ^ kinds(named)).difference(words(album.artist))
        and _artist_share(album, candidate) >= ENOUGH
    )


def _artist_share(album: Album, candidate: Candidate) -> float:
    """How much of the artist is in the paths; a compilation's artist need not be."""
    if album.artist.casefold() in _VARIOUS:
        return 1.0
    wanted, folder = essential(words(album.artist)), words(candidate.folder)
    if share_found(wanted, folder) == 1.0:
        return 1.0
    return min((share_found(wanted, folder + words(listings.stem(file.path))) for file in candidate.files), default=0.0)


def _folder_closeness(album: Album, candidate: Candidate) -> float:
    """The share of the album folder's words that the wish explains, years and formats left aside."""
    explained = words(f"{album.artist} {album.title} {album.year or ''}")
    named = [word for word in essential(listings.album_words(candidate.folder)) if not word.isdigit()]
    return share_found(named, explained)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """The ranking by one track list."""

    album: Album
    edition: int
    taste: Taste
    records: Mapping[str, PeerRecord]
    matcher: Matcher = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matcher", Matcher(self.album))

    def rank(self, folders: Iterable[Candidate]) -> list[RankedCandidate]:
        suitable = self._agreeing([offer for folder in folders for offer in self._suitable(folder)])
        usual = consensus.usual_count([(offer.candidate.peer, offer.selection) for offer in suitable])
        scored = [self._scored(offer, usual) for offer in suitable]
        return [one for one in scored if is_taken(one.parts)]

    def _suitable(self, candidate: Candidate) -> list[_Suitable]:
        """Each format of the folder that holds tracks of the album; without a track list, all of it."""
        by_format: dict[str, list[RemoteFile]] = {}
        for file in candidate.files:
            if self._is_usable(file):
                by_format.setdefault(_format(file), []).append(file)
        offers = []
        for _, files in sorted(by_format.items()):
            selection = self.matcher.select(files)
            if selection and sum(pick.file.size for pick in selection) <= MAX_ALBUM_BYTES:
                surplus = len(files) - len(selection)
                offers.append(_Suitable(candidate=candidate, selection=selection, surplus=surplus))
        return offers

    def _is_usable(self, file: RemoteFile) -> bool:
        form = _format(file)
        return (
            form in self.taste.formats
            and not listings.is_hidden(file.path)
            and _can_be_kept(file.path)
            and 0 < file.size <= MAX_FILE_BYTES
            and (not file.duration or file.size <= _most_bytes(file.duration))
            and (form in _LOSSLESS or form == "m4a" or self._is_good_enough(file))
        )

    def _is_good_enough(self, file: RemoteFile) -> bool:
        """Whether neither the stated bit rate nor the one that size and length come to is too low."""
        told = [rate for rate in (file.bitrate, _implied_bitrate(file)) if rate]
        return all(rate >= self.taste.minimum_bitrate for rate in told)

    def _agreeing(self, offers: list[_Suitable]) -> list[_Suitable]:
        """Without a track list: the offers that do not contradict what most peers say, lasting as they say."""
        if self.album.tracks:
            return offers
        durations = consensus.usual_durations([(offer.candidate.peer, offer.selection) for offer in offers])
        return [
            replace(offer, selection=tuple(pick.lasting(durations) for pick in offer.selection))
            for offer in offers
            if not consensus.contradicts(offer.selection, durations)
        ]

    def _scored(self, offer: _Suitable, usual: int) -> RankedCandidate:
        album, candidate = self.album, offer.candidate
        points = {
            "title": 20 * self.matcher.title_closeness(offer.selection, candidate.folder),
            "artist": 20 * (_artist_share(album, candidate) + _folder_closeness(album, candidate)) / 2,
            "duration": 15 * matching.duration_closeness(offer.selection),
            "quality": 20 * _mean(self._quality(pick.file) for pick in offer.selection),
            "coverage": 10 * _coverage(album, offer, usual),
            **_health(candidate, self.records.get(candidate.peer)),
        }
        rounded = {name: round(value, 2) for name, value in points.items()}
        return RankedCandidate(
            candidate=candidate,
            score=round(max(0.0, sum(rounded.values())), 2),
            parts=MappingProxyType(rounded),
            selection=offer.selection,
            whole=len(offer.selection) == len(album.tracks) if album.tracks else True,
            edition=self.edition,
            cover=cover_among([file for file in candidate.files if _can_be_kept(file.path)]),
        )

    def _quality(self, file: RemoteFile) -> float:
        """1 for the preferred format, less down the list; a little less for a lossy file of low or unknown bit rate."""
        form, formats = _format(file), self.taste.formats
        place = 1 - formats.index(form) / len(formats)
        if form in _LOSSLESS:
            return place
        rate = file.bitrate or _implied_bitrate(file)
        return place * (_UNSTATED + (1 - _UNSTATED) * min(1.0, rate / _FULL_BITRATE) if rate else _UNSTATED)


def is_taken(parts: Mapping[str, float]) -> bool:
    """Whether it is the album surely enough, and good enough; the health of its peer does not count."""
    identity = parts["title"] + parts["artist"]
    worth = identity + parts["duration"] + parts["quality"] + parts["coverage"]
    return identity >= WEAK and worth + HEALTH >= FLOOR


def _health(candidate: Candidate, record: PeerRecord | None) -> dict[str, float]:
    health = {
        "slot": 6.0 * candidate.free_slot,
        "queue": 5 / (1 + max(candidate.queue_length, 0) / 10),
        "speed": 3 * min(1.0, math.log1p(max(candidate.speed, 0)) / math.log1p(_FULL_SPEED)),
        "history": 0.0,
    }
    if record is not None:
        health["history"] = float(record.successes > 0) - record.penalty()
    return health


def _coverage(album: Album, offer: _Suitable, usual: int) -> float:
    """1 where the folder holds the tracks that were asked for, or as many as most peers have, and no others."""
    count = len(offer.selection)
    if album.tracks:
        return count / (len(album.tracks) + offer.surplus)
    return min(count, usual) / max(count, usual)


def _can_be_kept(text: str) -> bool:
    """Whether a database can hold it: no lone surrogates, no NUL."""
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _format(file: RemoteFile) -> str:
    form = listings.extension(file.path)
    return _SAME_FORMAT.get(form, form)


def _implied_bitrate(file: RemoteFile) -> int:
    """What size and length come to in kbit/s, 0 where the length is unknown; artwork makes it more, never less."""
    seconds = file.duration.total_seconds() if file.duration else 0
    return int(file.size * 8 / 1000 / seconds) if seconds > 0 else 0


def _most_bytes(duration: timedelta) -> float:
    return duration.total_seconds() * _MAX_BYTES_PER_SECOND + _MAX_ARTWORK_BYTES


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else 0.0
