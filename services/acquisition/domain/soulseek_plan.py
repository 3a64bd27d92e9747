"""What the steps of an acquisition through peers keep between them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from services.acquisition.domain.acquisition import State
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.knowledge import Knowledge
from services.acquisition.domain.listings import Position
from services.acquisition.domain.offers import Offer
from services.acquisition.domain.publishing import Awaited
from services.acquisition.domain.ranking import RankedCandidate, Tracklist
from services.acquisition.domain.verification import VerifiedAlbum
from services.acquisition.domain.words import words

WHOLE, PARTS = 10, 20  # the best of one search: offers of the whole album, and of a part of it
MOST_LISTS = 8  # of editions that differ in their tracks
FIRST_OUTAGE, LONGEST_OUTAGE = timedelta(seconds=5), timedelta(minutes=1)  # between looks whether the network is back
SEARCH_DELAYS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
LONGEST_LOOK = timedelta(minutes=1)  # between looks at an import of somebody else's
INQUIRY_DELAYS = SEARCH_DELAYS  # between questions to those who know the album, while they are away

File = tuple[str, str]
"""A peer's file, by peer and path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artwork:
    """A picture that was fetched with the album: its place in the staging folder, and what it holds."""

    place: str
    form: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SoulseekPlan:
    """What is offered and tried, what is known of its files, and what came before.

    `ranked` are the offers of single folders, `lists` the track lists by which they were ranked, one an edition;
    `offer` is what they make together, while it is tried, and `fault` why some of it did not arrive. `kept` is what
    stayed of the offers before. `rejected` files held something else and are not asked again, `refused` ones not before
    the next search. `verified` and `digests` are what was found in the files. `awaited` is what an import of somebody
    else's has shown since `awaited_since`. `resume` is where a WAITING one goes on; `outages` counts those in a row.
    `knowledge` is what those said who know the album, once they were `inquired`: it
    stays None where nobody knows it; `inquiries` counts how often they were away.
    """

    ranked: tuple[RankedCandidate, ...] = ()
    lists: tuple[Tracklist, ...] = ()
    offer: Offer | None = None
    kept: Offer | None = None
    fault: Failure | None = None
    rejected: tuple[File, ...] = ()
    refused: tuple[File, ...] = ()
    verified: VerifiedAlbum | None = None
    digests: tuple[str, ...] = ()
    artwork: Artwork | None = None
    awaited: str = ""
    awaited_since: datetime | None = None
    searches: int = 0
    outages: int = 0
    resume: State = State.SEARCHING
    knowledge: Knowledge | None = None
    inquired: bool = False
    inquiries: int = 0

    def known(self, album: Album) -> Album:
        """The album as those spell it who know it, for asking and comparing; what was asked for keeps its name.

        The title is corrected only where an id leaves no doubt which album is meant. A name that they write in another
        script stays: peers name their folders in the script of whoever listens.
        """
        if self.knowledge is None:
            return album
        title = _spelled(album.title, self.knowledge.title) if album.release_group_mbid else album.title
        return replace(
            album,
            artist=_spelled(album.artist, self.knowledge.artist),
            title=title,
            release_group_mbid=album.release_group_mbid or self.knowledge.release_group_mbid,
            year=album.year or self.knowledge.year,
        )

    def wanted_lists(self, album: Album) -> tuple[Tracklist, ...]:
        """The track lists that the album may have, the likeliest first: its own, else those of its editions."""
        if album.tracks or self.knowledge is None or not self.knowledge.editions:
            return (album.tracks,)
        return tuple(dict.fromkeys(edition.tracks for edition in self.knowledge.editions))[:MOST_LISTS]

    def tracks(self, edition: int) -> Tracklist:
        """The track list of an edition, empty where it is not known."""
        return self.lists[edition] if edition < len(self.lists) else ()

    def kept_positions(self, tracks: Tracklist) -> frozenset[Position]:
        """The tracks of a list that are here already."""
        kept = self.kept
        if kept is None or self.tracks(kept.edition) != tracks:
            return frozenset()
        return frozenset(piece.position for piece in kept.pieces)

    def release_mbid(self, edition: int) -> str:
        """The edition's id, empty where it is not known."""
        known = () if self.knowledge is None else self.knowledge.editions
        return next((one.release_mbid for one in known if one.tracks and one.tracks == self.tracks(edition)), "")

    def searched(self, found: Sequence[RankedCandidate], lists: tuple[Tracklist, ...]) -> "SoulseekPlan":
        """After a search. What is kept of an edition that is not among the lists any more is let go."""
        whole = [one.bare() for one in found if one.whole][:WHOLE]
        parts = [one.bare() for one in found if not one.whole][:PARTS]
        kept = self.kept
        if kept is not None:
            tracks = self.tracks(kept.edition)
            kept = replace(kept, edition=lists.index(tracks)) if tracks in lists else None
        plan = replace(self._bare(), ranked=(*whole, *parts), lists=lists, kept=kept, refused=())
        return replace(plan, searches=self.searches + 1)

    def trying(self, offer: Offer) -> "SoulseekPlan":
        """With an offer to try."""
        return replace(self._bare(), offer=offer)

    def without(self, *, peers: Collection[str] = (), refused: Collection[File] = ()) -> "SoulseekPlan":
        """Without peers and files that did not come, until the next search."""
        left = tuple(one for one in self.ranked if one.candidate.peer not in peers)
        return replace(self, ranked=left, refused=(*self.refused, *refused))

    def keeping(self, kept: Offer | None, rejected: Collection[File] = ()) -> "SoulseekPlan":
        """After an offer of which this stays; the rejected files are never asked for again."""
        kept = kept if kept is not None and kept.pieces else None
        return replace(self._bare(), kept=kept, rejected=(*self.rejected, *rejected))

    def outage(self) -> tuple["SoulseekPlan", timedelta]:
        """After one more outage, and when to look whether it is over."""
        delay = min(LONGEST_OUTAGE, FIRST_OUTAGE * 2 ** min(self.outages, 6))
        return replace(self, outages=self.outages + 1), delay

    def awaiting(self, awaited: Awaited, now: datetime) -> tuple["SoulseekPlan", timedelta | None]:
        """While somebody else imports, and when to look again: None once nothing happened for too long."""
        if awaited.patience is None:
            return replace(self, awaited_since=None), awaited.delay
        since = self.awaited_since if self.awaited_since and self.awaited == awaited.sign else now
        still = now - since
        delay = max(awaited.delay, min(LONGEST_LOOK, still / 10))
        return replace(self, awaited=awaited.sign, awaited_since=since), delay if still < awaited.patience else None

    def informed(self, knowledge: Knowledge | None) -> "SoulseekPlan":
        """After those who know the album have answered, or were given up."""
        return replace(self, knowledge=knowledge, inquired=True)

    def uninformed(self) -> tuple["SoulseekPlan", timedelta | None]:
        """After they were away, and when to ask them again, or None to go on without them."""
        delay = INQUIRY_DELAYS[self.inquiries] if self.inquiries < len(INQUIRY_DELAYS) else None
        return replace(self, inquiries=self.inquiries + 1), delay

    def next_search(self) -> timedelta | None:
        """When to search again after this many searches, or None to give up."""
        return SEARCH_DELAYS[self.searches - 1] if self.searches <= len(SEARCH_DELAYS) else None

    def _bare(self) -> "SoulseekPlan":
        bare = replace(self, offer=None, fault=None, verified=None, digests=(), artwork=None, awaited_since=None)
        return replace(bare, outages=0, resume=State.SEARCHING)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return {
            "ranked": [one.to_json() for one in self.ranked],
            "lists": [[track.to_json() for track in tracks] for tracks in self.lists],
            "offer": None if self.offer is None else self.offer.to_json(),
            "kept": None if self.kept is None else self.kept.to_json(),
            "fault": None if self.fault is None else [self.fault.reason, self.fault.message],
            "rejected": [list(file) for file in self.rejected],
            "refused": [list(file) for file in self.refused],
            "verified": None if self.verified is None else _verified_to_json(self.verified),
            "digests": list(self.digests),
            "artwork": None if self.artwork is None else _artwork_to_json(self.artwork),
            "awaited": self.awaited,
            "awaited_since": None if self.awaited_since is None else self.awaited_since.isoformat(),
            "searches": self.searches,
            "outages": self.outages,
            "resume": self.resume,
            "knowledge": None if self.knowledge is None else self.knowledge.to_json(),
            "inquired": self.inquired,
            "inquiries": self.inquiries,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SoulseekPlan":
        """The plan that `to_json` wrote; nothing is an empty plan, and so is what versions before 0.4 wrote."""
        if "offers" in data:
            return cls()
        offer, kept, fault = data.get("offer"), data.get("kept"), data.get("fault")
        verified, artwork, knowledge = data.get("verified"), data.get("artwork"), data.get("knowledge")
        awaited_since = data.get("awaited_since")
        return cls(
            ranked=tuple(RankedCandidate.from_json(one) for one in data.get("ranked", ())),
            lists=tuple(tuple(Track.from_json(track) for track in tracks) for tracks in data.get("lists", ())),
            offer=None if offer is None else Offer.from_json(offer),
            kept=None if kept is None else Offer.from_json(kept),
            fault=None if fault is None else Failure(reason=fault[0], message=fault[1]),
            rejected=tuple((peer, path) for peer, path in data.get("rejected", ())),
            refused=tuple((peer, path) for peer, path in data.get("refused", ())),
            verified=None if verified is None else _verified_from_json(verified),
            digests=tuple(data.get("digests", ())),
            artwork=None if artwork is None else Artwork(**artwork),
            awaited=data.get("awaited", ""),
            awaited_since=None if awaited_since is None else datetime.fromisoformat(awaited_since),
            searches=data.get("searches", 0),
            outages=data.get("outages", 0),
            resume=State(data.get("resume", State.SEARCHING)),
            knowledge=None if knowledge is None else Knowledge.from_json(knowledge),
            inquired=data.get("inquired", False),
            inquiries=data.get("inquiries", 0),
        )


def _spelled(asked: str, known: str) -> str:
    same_script = "".join(words(asked)).isascii() == "".join(words(known)).isascii()
    return known if known and same_script else asked


def _artwork_to_json(artwork: Artwork) -> dict[str, Any]:
    return {"place": artwork.place, "form": artwork.form, "size": artwork.size, "sha256": artwork.sha256}


def _verified_to_json(verified: VerifiedAlbum) -> dict[str, Any]:
    return {"year": verified.year, "tracks": [track.to_json() for track in verified.tracks]}


def _verified_from_json(data: Mapping[str, Any]) -> VerifiedAlbum:
    return VerifiedAlbum(year=data["year"], tracks=tuple(Track.from_json(track) for track in data["tracks"]))
