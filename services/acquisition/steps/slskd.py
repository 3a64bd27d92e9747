"""The steps of an acquisition through slskd: those of any network of peers, and nothing left in slskd at the end.

What runs in slskd outlives our steps: an outage between us and it interrupts the watching, not the download.
"""

from typing import Protocol

from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.step import Job, Move, ProgressReport, Steps


class Leftovers(Protocol):
    """What acquisitions may leave behind in slskd."""

    async def abandon(self, acquisition: str) -> None:
        """Stop and remove what is left of an acquisition; raises nothing that slskd could cause."""
        ...


class SlskdSteps:
    """Implements `domain.step.Steps`: the `peers` steps over slskd, and a look behind them."""

    def __init__(self, peers: Steps, leftovers: Leftovers) -> None:
        self._peers = peers
        self._leftovers = leftovers

    async def advance(self, job: Job, report: ProgressReport) -> Move:
        """Do the one thing that the acquisition's state asks for."""
        move = await self._peers.advance(job, report)
        if move.acquisition.state is State.FAILED:  # maybe after an outage, in which nothing could be cancelled
            await self._leftovers.abandon(move.acquisition.id)
        return move

    async def clean_up(self, acquisition: Acquisition) -> None:
        """Remove what an acquisition that was cancelled left behind."""
        await self._leftovers.abandon(acquisition.id)
        await self._peers.clean_up(acquisition)
