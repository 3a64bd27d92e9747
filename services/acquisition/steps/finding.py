"""Finds out who has an album: the album's queries first, then single tracks that nobody has offered yet."""

import asyncio
from collections.abc import Callable, Sequence

from libs.clock import Clock
from services.acquisition.domain.album import Album
from services.acquisition.domain.candidates import Candidate
from services.acquisition.domain.offers import missing_tracks
from services.acquisition.domain.peers import PeerNetwork
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.queries import queries, track_query
from services.acquisition.domain.ranking import RankedCandidate, rank_all
from services.acquisition.domain.reputation import PeerRecords
from services.acquisition.domain.soulseek_plan import SoulseekPlan

MOST_SINGLES = 5  # searches for single tracks in one step: every search costs budget


class Finder:
    """Asks the network, and ranks its answers by the taste and the records of the moment."""

    def __init__(self, network: PeerNetwork, *, records: PeerRecords, taste: Callable[[], Taste], clock: Clock) -> None:
        self._network = network
        self._records = records
        self._taste = taste
        self._clock = clock

    async def find(self, album: Album, plan: SoulseekPlan) -> SoulseekPlan:
        """The plan after a search: one query after the other until a folder holds the whole album."""
        lists = plan.wanted_lists(album)
        answers: list[Candidate] = []
        found: list[RankedCandidate] = []
        for query in queries(album):
            answers += await self._network.search(query)
            found = await self._ranked(album, plan, answers)
            if any(_is_usable(one, plan) for one in found):
                return plan.searched(found, lists)
        singles = self._singles(album, plan, found)
        for query in singles:
            answers += await self._network.search(query)
        if singles:
            found = await self._ranked(album, plan, answers)
        return plan.searched(found, lists)

    def _singles(self, album: Album, plan: SoulseekPlan, found: Sequence[RankedCandidate]) -> list[str]:
        """Queries for the tracks that nobody offers and that are not here, where these are few."""
        fewest: list[str] = []
        for edition, tracks in enumerate(plan.wanted_lists(album)):
            offered = [one for one in found if one.edition == edition]
            kept = plan.kept_positions(tracks)
            missing = [
                track
                for track in missing_tracks(tracks, offered, plan.rejected)
                if (track.disc, track.number) not in kept
            ]
            if (offered or kept) and 0 < len(missing) <= MOST_SINGLES and (not fewest or len(missing) < len(fewest)):
                fewest = [query for track in missing if (query := track_query(album, track))]
        return fewest

    async def _ranked(self, album: Album, plan: SoulseekPlan, answers: Sequence[Candidate]) -> list[RankedCandidate]:
        """The answers of peers that are not blocked, ranked beside the loop: hundreds of folders take a while."""
        now = self._clock.now()
        records = await self._records.of({one.peer for one in answers})
        free = [one for one in answers if one.peer not in records or not records[one.peer].is_blocked(now)]
        return await asyncio.to_thread(
            rank_all, album, free, lists=plan.wanted_lists(album), taste=self._taste(), records=records
        )


def _is_usable(one: RankedCandidate, plan: SoulseekPlan) -> bool:
    """Whether it is whole, without a file that was something else before."""
    return one.whole and all((one.candidate.peer, pick.file.path) not in plan.rejected for pick in one.selection)
