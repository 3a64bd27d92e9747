"""Searches that people send: what they ask, what is shown of the answers, and what the budget of the network bears.

RUNNING ──► DONE
   └──────► FAILED   it could not be sent, or who collected the answers is gone

The same question within `SAME` is the same search for whoever asked, and costs nothing for everybody else.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from libs.errors import FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted
from services.acquisition.domain.album import Album
from services.acquisition.domain.candidates import Candidate
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.queries import queries
from services.acquisition.domain.ranking import rank
from services.acquisition.domain.reputation import PeerRecord

KEPT = timedelta(hours=1)  # unless the settings say otherwise
SAME = timedelta(minutes=1)
MAX_OF_ONE = 50  # searches of one owner
MAX_OFFERS = 200
MAX_FILES = 3000  # of all offers that are kept
MAX_FILES_OF_ONE = 100


class SearchState(StrEnum):
    """Where a search stands."""

    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


class SearchNotFound(NotFound):
    """There is no such search, or it is somebody else's."""

    reason = "SEARCH_NOT_FOUND"

    def __init__(self, search_id: str) -> None:
        super().__init__(f"there is no search searches/{search_id} of yours", metadata={"search": search_id})


class RequestIdReused(InvalidArgument):
    """The request id was used for another search."""

    reason = "REQUEST_ID_REUSED"


class SearchBudgetSpent(ResourceExhausted):
    """The network bears no further search now."""

    reason = "SEARCH_BUDGET_SPENT"


class TooManySearches(ResourceExhausted):
    """As many searches of one owner run as are kept."""

    reason = "TOO_MANY_SEARCHES"


class NothingToSearch(FailedPrecondition):
    """Neither Soulseek nor slskd is configured."""

    reason = "SEARCH_NOT_CONFIGURED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: a query as people type it, or an album."""

    query: str = ""
    album: Album | None = None

    @property
    def queries(self) -> Sequence[str]:
        """What is asked of the network, one after the other until something suits."""
        return queries(self.album) if self.album else (self.query,)

    @property
    def fingerprint(self) -> str:
        """What two searches for the same share."""
        asked = self.album.to_json() if self.album else self.query.casefold().split()
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A folder of a peer; `score` tells in parts how well it suits the album, and is empty for a plain query."""

    candidate: Candidate
    score: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The offer as plain JSON values."""
        return {"candidate": self.candidate.to_json(), "score": dict(self.score)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Offered":
        """The offer that `to_json` wrote."""
        return cls(candidate=Candidate.from_json(data["candidate"]), score=dict(data["score"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search of one owner, with what came of it."""

    id: str
    owner: str
    question: Question
    state: SearchState
    problem: str
    offers: tuple[Offered, ...]
    offer_count: int
    created: datetime
    updated: datetime
    expires: datetime
    version: int

    @property
    def etag(self) -> str:
        """Changes with every change."""
        return f'"{self.version}"'


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSearch:
    """A search to be begun; `request_id` makes a repeated call the same call."""

    id: str
    owner: str
    question: Question
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """One page of a list of searches, without their offers; `next_token` is empty on the last."""

    searches: Sequence[Search]
    next_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is left of the budget now, and how long until the next search may go."""

    left: int
    wait: timedelta


class Gate(Protocol):
    """Knows what the network bears."""

    async def room(self) -> Room:
        """What it bears now."""
        ...


def offered(
    question: Question,
    candidates: Sequence[Candidate],
    *,
    taste: Taste,
    records: Mapping[str, PeerRecord],
    now: datetime,
) -> list[Offered]:
    """What is shown of the answers, best first, without those of blocked peers."""
    free = [one for one in candidates if not (one.peer in records and records[one.peer].is_blocked(now))]
    if question.album:
        ranked = rank(question.album, free, taste=taste, records=records)
        return [Offered(candidate=one.candidate, score=one.parts) for one in ranked]
    return [Offered(candidate=one) for one in sorted(free, key=_readiness)]


def kept(offers: Sequence[Offered]) -> list[Offered]:
    """The first of the offers, as far as they are kept."""
    left, cut = MAX_FILES, []
    for offer in offers[:MAX_OFFERS]:
        files = offer.candidate.files[: min(MAX_FILES_OF_ONE, left)]
        if not files:
            break
        left -= len(files)
        cut.append(replace(offer, candidate=replace(offer.candidate, files=files)))
    return cut


def _readiness(one: Candidate) -> tuple[bool, int, int, str, str]:
    return not one.free_slot, one.queue_length, -one.speed, one.peer, one.folder
