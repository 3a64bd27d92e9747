"""What the steps of a Soulseek acquisition keep between them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from services.acquisition.domain.acquisition import State
from services.acquisition.domain.album import Track
from services.acquisition.domain.knowledge import Knowledge
from services.acquisition.domain.ranking import RankedCandidate
from services.acquisition.domain.verification import VerifiedAlbum

CANDIDATES = 10  # the best of one search
FIRST_OUTAGE, LONGEST_OUTAGE = timedelta(seconds=5), timedelta(minutes=1)  # between looks whether the network is back
SEARCH_DELAYS = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
INQUIRY_DELAYS = SEARCH_DELAYS  # between questions to those who know the album, while they are away


@dataclass(frozen=True, slots=True, kw_only=True)
class SoulseekPlan:
    """The ranked offers, the first of them being the one that is tried; what is known of its files; what came before.

    `announced` are the sizes that the peer announced, `verified` and `digests` what was found in the files. `rejected`
    offers (peer, folder) held something else: they are not asked again. `resume` is where a WAITING one goes on;
    `outages` counts those in a row. `knowledge` is what those said who know the album, once they were `inquired`: it
    stays None where nobody knows it; `inquiries` counts how often they were away.
    """

    offers: tuple[RankedCandidate, ...] = ()
    announced: tuple[int, ...] = ()
    verified: VerifiedAlbum | None = None
    digests: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    searches: int = 0
    outages: int = 0
    resume: State = State.SEARCHING
    knowledge: Knowledge | None = None
    inquired: bool = False
    inquiries: int = 0

    @property
    def offer(self) -> RankedCandidate:
        """The offer that is tried now."""
        return self.offers[0]

    def searched(self, found: list[RankedCandidate]) -> "SoulseekPlan":
        """After a search, without the offers that were something else."""
        wanted = [one for one in found if (one.candidate.peer, one.candidate.folder) not in self.rejected]
        return replace(self._bare(), offers=tuple(wanted[:CANDIDATES]), searches=self.searches + 1)

    def without_offer(self, *, rejected: bool) -> "SoulseekPlan":
        """Without the offer that was tried, for good where it was `rejected`."""
        gone = ((self.offer.candidate.peer, self.offer.candidate.folder),) if rejected else ()
        return replace(self._bare(), offers=self.offers[1:], rejected=(*self.rejected, *gone))

    def outage(self) -> tuple["SoulseekPlan", timedelta]:
        """After one more outage, and when to look whether it is over."""
        delay = min(LONGEST_OUTAGE, FIRST_OUTAGE * 2 ** min(self.outages, 6))
        return replace(self, outages=self.outages + 1), delay

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
        return replace(self, announced=(), verified=None, digests=(), outages=0, resume=State.SEARCHING)

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON values."""
        return {
            "offers": [offer.to_json() for offer in self.offers],
            "announced": list(self.announced),
            "verified": None if self.verified is None else _verified_to_json(self.verified),
            "digests": list(self.digests),
            "rejected": [list(offer) for offer in self.rejected],
            "searches": self.searches,
            "outages": self.outages,
            "resume": self.resume,
            "knowledge": None if self.knowledge is None else self.knowledge.to_json(),
            "inquired": self.inquired,
            "inquiries": self.inquiries,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "SoulseekPlan":
        """The plan that `to_json` wrote; nothing is an empty plan."""
        verified, knowledge = data.get("verified"), data.get("knowledge")
        return cls(
            offers=tuple(RankedCandidate.from_json(offer) for offer in data.get("offers", ())),
            announced=tuple(data.get("announced", ())),
            verified=None if verified is None else _verified_from_json(verified),
            digests=tuple(data.get("digests", ())),
            rejected=tuple((peer, folder) for peer, folder in data.get("rejected", ())),
            searches=data.get("searches", 0),
            outages=data.get("outages", 0),
            resume=State(data.get("resume", State.SEARCHING)),
            knowledge=None if knowledge is None else Knowledge.from_json(knowledge),
            inquired=data.get("inquired", False),
            inquiries=data.get("inquiries", 0),
        )


def _verified_to_json(verified: VerifiedAlbum) -> dict[str, Any]:
    return {"year": verified.year, "tracks": [track.to_json() for track in verified.tracks]}


def _verified_from_json(data: Mapping[str, Any]) -> VerifiedAlbum:
    return VerifiedAlbum(year=data["year"], tracks=tuple(Track.from_json(track) for track in data["tracks"]))
