"""What slskd's steps add to those of any network of peers: a look behind them."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Progress, Source
from services.acquisition.domain.step import Job, Move, ProgressReport
from services.acquisition.steps.slskd import SlskdSteps

NOON = datetime(2026, 2, 14, 12, tzinfo=UTC)
QUEUED = Acquisition(id="acq-1", album=Album(artist="A", title="B"), source=Source.SLSKD, created=NOON, updated=NOON)


class Peers:
    """Steps that end in a state."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.cleaned: list[str] = []

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        return Move(acquisition=replace(job.acquisition, state=self._state))

    async def clean_up(self, acquisition: Acquisition) -> None:
        self.cleaned.append(acquisition.id)


class Leftovers:
    """Remembers what was abandoned."""

    def __init__(self) -> None:
        self.abandoned: list[str] = []

    async def abandon(self, acquisition: str) -> None:
        self.abandoned.append(acquisition)


async def unheard(_: Progress) -> None:
    """Progress that nobody keeps."""


@pytest.mark.parametrize(
    ("state", "abandoned"), [(State.FAILED, ["acq-1"]), (State.WAITING, []), (State.COMPLETED, [])]
)
async def test_only_what_failed_is_looked_after_in_slskd(state: State, abandoned: list[str]) -> None:
    leftovers = Leftovers()

    await SlskdSteps(Peers(state), leftovers).advance(Job(acquisition=QUEUED), unheard)

    assert leftovers.abandoned == abandoned


async def test_what_was_cancelled_is_cleaned_up_on_both_sides() -> None:
    peers, leftovers = Peers(State.CANCELLED), Leftovers()

    await SlskdSteps(peers, leftovers).clean_up(QUEUED)

    assert (peers.cleaned, leftovers.abandoned) == (["acq-1"], ["acq-1"])
