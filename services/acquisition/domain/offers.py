"""What is fetched for an album: whole folders of one peer first, single tracks of others only to fill.

What has arrived and was verified is kept, whatever became of the rest: the next offer has the kept files among its
pieces, and asks only for what is missing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from services.acquisition.domain import listings
from services.acquisition.domain.album import Track
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.listings import Position
from services.acquisition.domain.matching import Pick
from services.acquisition.domain.ranking import RankedCandidate, Tracklist
from services.acquisition.domain.words import ENOUGH, bare, essential, share_found, words

Rejected = Collection[tuple[str, str]]
"""Files that were something else, by peer and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One file of an offer: who delivers it, what it is to be, and its place below the acquisition's staging folder.

    `size` is what the transfer announced; 0 until the file is here.
    """

    peer: str
    pick: Pick
    place: str = ""
    size: int = 0

    @property
    def position(self) -> Position:
        """Which track it is to be."""
        return self.pick.track.disc, self.pick.track.number

    def to_json(self) -> dict[str, Any]:
        """The piece as plain JSON values."""
        return {"peer": self.peer, "pick": self.pick.to_json(), "place": self.place, "size": self.size}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Piece":
        """The piece that `to_json` wrote."""
        return cls(peer=data["peer"], pick=Pick.from_json(data["pick"]), place=data["place"], size=data["size"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An album from one peer or several, with the score of the main one; `edition` says which list it holds.

    `positions` are the tracks that the album has: without pieces for all of them it is partial.
    """

    pieces: tuple[Piece, ...]
    positions: tuple[Position, ...]
    edition: int = 0
    score: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)
    cover: RemoteFile | None = None
    main: str = ""

    @property
    def peers(self) -> tuple[str, ...]:
        """Who delivers, the main one first."""
        named = dict.fromkeys(piece.peer for piece in self.pieces)
        return tuple(sorted(named, key=lambda peer: peer != self.main))

    @property
    def whole(self) -> bool:
        """Whether no track is missing."""
        return len(self.pieces) == len(self.positions)

    @property
    def total_bytes(self) -> int:
        """What all pieces come to, those included that are here."""
        return sum(piece.pick.file.size for piece in self.pieces)

    def placed(self, attempt: int) -> "Offer":
        """With a place for every piece that is not here yet, in the folder of an attempt."""
        pieces = tuple(
            piece if piece.size else replace(piece, place=f"{attempt}/{at:02}.{_known_extension(piece.pick.file)}")
            for at, piece in enumerate(self.pieces, start=1)
        )
        return replace(self, pieces=pieces)

    def arrived(self, sizes: Sequence[int]) -> "Offer":
        """With the sizes that were announced, 0 for what did not arrive, in the order of the pieces."""
        pieces = zip(self.pieces, sizes, strict=True)
        return replace(self, pieces=tuple(replace(piece, size=size) for piece, size in pieces))

    def keeping(self, good: Mapping[Position, Track]) -> "Offer":
        """Only what was verified, under the titles that it was found to have."""
        kept = [
            replace(piece, pick=replace(piece.pick, track=replace(piece.pick.track, title=good[piece.position].title)))
            for piece in self.pieces
            if piece.position in good
        ]
        return replace(self, pieces=tuple(kept))

    def to_json(self) -> dict[str, Any]:
        """The offer as plain JSON values."""
        return {
            "pieces": [piece.to_json() for piece in self.pieces],
            "positions": [list(position) for position in self.positions],
            "edition": self.edition,
            "score": self.score,
            "parts": dict(self.parts),
            "cover": None if self.cover is None else self.cover.to_json(),
            "main": self.main,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Offer":
        """The offer that `to_json` wrote."""
        return cls(
            pieces=tuple(Piece.from_json(piece) for piece in data["pieces"]),
            positions=tuple((disc, number) for disc, number in data["positions"]),
            edition=data["edition"],
            score=data["score"],
            parts=MappingProxyType(dict(data["parts"])),
            cover=None if data["cover"] is None else RemoteFile.from_json(data["cover"]),
            main=data["main"],
        )


def compose(
    lists: Sequence[Tracklist],
    ranked: Sequence[RankedCandidate],
    *,
    kept: Offer | None = None,
    rejected: Rejected = (),
    partial: bool = False,
) -> Offer | None:
    """The best offer that the ranked ones make together, or None.

    What is kept is completed where that is possible; else the best whole folder; else, where the tracks are known, a
    part of one filled with tracks of others. Where `partial` is welcome, at least half of an album is an offer, too.
    """
    sources = [_Source(one, rejected) for one in ranked]
    completed = [] if kept is None else [_filled(kept, sources)]
    if completed and completed[0].whole:
        return completed[0]
    if whole := next((source for source in sources if source.whole), None):
        return whole.offer()
    for edition, tracks in enumerate(lists):
        if tracks:
            empty = Offer(pieces=(), positions=tuple((track.disc, track.number) for track in tracks), edition=edition)
            completed.append(_filled(empty, sources))
    if found := next((offer for offer in completed if offer.whole), None):
        return found
    halves = [offer for offer in completed if partial and lists[offer.edition] and _is_half(offer)]
    return max(halves, key=lambda offer: len(offer.pieces), default=None)


def missing_tracks(tracks: Iterable[Track], ranked: Sequence[RankedCandidate], rejected: Rejected) -> list[Track]:
    """The tracks of a list that nobody offers."""
    offered = {(pick.track.disc, pick.track.number) for one in ranked for pick in _Source(one, rejected).picks.values()}
    return [track for track in tracks if (track.disc, track.number) not in offered]


def _is_half(offer: Offer) -> bool:
    return bool(offer.pieces) and 2 * len(offer.pieces) >= len(offer.positions)


class _Source:
    """A ranked offer without its rejected files."""

    def __init__(self, ranked: RankedCandidate, rejected: Rejected) -> None:
        self.ranked = ranked
        self.peer = ranked.candidate.peer
        self.positions = tuple((pick.track.disc, pick.track.number) for pick in ranked.selection)
        self.picks = {
            position: pick
            for position, pick in zip(self.positions, ranked.selection, strict=True)
            if (self.peer, pick.file.path) not in rejected
        }
        self.whole = ranked.whole and len(self.picks) == len(ranked.selection)
        self.form = listings.extension(ranked.selection[0].file.path)

    def offer(self) -> Offer:
        pieces = tuple(Piece(peer=self.peer, pick=pick) for pick in self.ranked.selection)
        return self.named(Offer(pieces=pieces, positions=self.positions, edition=self.ranked.edition))

    def named(self, offer: Offer) -> Offer:
        """The offer with this as its main source."""
        one = self.ranked
        return replace(offer, score=one.score, parts=one.parts, cover=one.cover, main=self.peer)

    def fills(self, offer: Offer) -> bool:
        """Whether its tracks are those of the offer: by the list, or by number and title of what is kept."""
        if self.ranked.edition != offer.edition:
            return False
        if self.ranked.selection[0].track.title:
            return True
        return set(self.positions) == set(offer.positions) and all(
            _says(self.picks.get(piece.position), piece.pick.track.title) for piece in offer.pieces
        )


def _filled(offer: Offer, sources: Sequence[_Source]) -> Offer:
    """The offer with pieces for its missing tracks, from as few sources as possible, those in its own format first."""
    pieces = {piece.position: piece for piece in offer.pieces}
    left = [source for source in sources if source.fills(offer)]
    form = listings.extension(offer.pieces[0].pick.file.path) if offer.pieces else ""
    main: _Source | None = None
    while left and len(pieces) < len(offer.positions):
        best = max(left, key=lambda source: _use(source, form, offer.positions, pieces))  # the first of equals
        left.remove(best)
        for position in offer.positions:
            if position in best.picks and position not in pieces:
                pieces[position] = Piece(peer=best.peer, pick=best.picks[position])
                main = main or best
        form = form or best.form
    ordered = tuple(pieces[position] for position in offer.positions if position in pieces)
    filled = replace(offer, pieces=ordered)
    return main.named(filled) if main is not None else filled


def _use(
    source: _Source, form: str, positions: Sequence[Position], pieces: Mapping[Position, Piece]
) -> tuple[bool, bool, bool, int]:
    """How much a source adds: something at all, surely, in the same format, and how many tracks."""
    added = sum(position in source.picks and position not in pieces for position in positions)
    return added > 0, source.ranked.sure, not form or source.form == form, added


def _says(pick: Pick | None, title: str) -> bool:
    """Whether a file's name has most of the title's words."""
    if pick is None:
        return True
    return share_found(essential(words(bare(title))), words(listings.stem(pick.file.path))) >= ENOUGH


def _known_extension(file: RemoteFile) -> str:
    found = listings.extension(file.path)
    return found if found in listings.AUDIO_EXTENSIONS else "bin"
