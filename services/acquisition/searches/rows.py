"""Searches between the domain and their rows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from services.acquisition.domain.album import Album
from services.acquisition.domain.searching import KEPT, NewSearch, Offered, Question, Search, SearchState


def new_row(new: NewSearch, now: datetime, *, kept: timedelta = KEPT) -> dict[str, Any]:
    """A search that begins, and is kept for so long."""
    album = new.question.album
    return {
        "id": new.id,
        "owner": new.owner,
        "query": new.question.query,
        "album": album.to_json() if album else None,
        "state": SearchState.RUNNING,
        "problem": "",
        "request_id": new.request_id,
        "fingerprint": new.question.fingerprint,
        "version": 1,
        "offers": [],
        "offer_count": 0,
        "runner": None,
        "created": now,
        "updated": now,
        "expires": now + kept,
    }


def question_of(row: Mapping[str, Any]) -> Question:
    """What a row asks."""
    return Question(query=row["query"], album=Album.from_json(row["album"]) if row["album"] else None)


def search_of(row: Mapping[str, Any]) -> Search:
    """The search in a row; one without `offers` was read without them."""
    return Search(
        id=row["id"],
        owner=row["owner"],
        question=question_of(row),
        state=SearchState(row["state"]),
        problem=row["problem"],
        offers=tuple(Offered.from_json(offer) for offer in row.get("offers", ())),
        offer_count=row["offer_count"],
        created=row["created"],
        updated=row["updated"],
        expires=row["expires"],
        version=row["version"],
    )
