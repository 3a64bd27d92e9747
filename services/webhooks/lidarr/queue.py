"""What Lidarr's queue shows and no webhook told: downloads that were grabbed, imports that are stuck."""

from collections.abc import Sequence
from datetime import timedelta

from libs.clock import Clock
from services.webhooks.domain.backfill import (
    OVERLAP,
    SETTLING,
    Backfill,
    Found,
    Missed,
    Told,
    Watermarks,
    position_in,
    untold,
)
from services.webhooks.domain.history import WATERMARK, Cursor
from services.webhooks.domain.queue import read_queue
from services.webhooks.peers import Peer


class LidarrQueue:
    """The gap between Lidarr's queue and our events, since we began to read its history.

    Nothing follows from what is not in the queue.
    """

    def __init__(
        self,
        lidarr: Peer,
        backfill: Backfill,
        told: Told,
        watermarks: Watermarks,
        *,
        clock: Clock,
        settling: timedelta = SETTLING,
    ) -> None:
        self._lidarr = lidarr
        self._backfill = backfill
        self._told = told
        self._watermarks = watermarks
        self._clock = clock
        self._settling = settling

    @property
    def subject(self) -> str:
        """Whom it asks."""
        return self._backfill.subject

    async def find(self) -> Sequence[Missed]:
        """What is missing; changes nothing. Raises AppError."""
        return self._backfill.planned(await self._look())

    async def fill(self) -> Sequence[Missed]:
        """Brings it in. Raises AppError."""
        return await self._backfill.bring_in(await self._look())

    async def _look(self) -> list[Found]:
        address = self._lidarr.address
        if address is None:
            return []
        position = position_in(await self._watermarks.find(WATERMARK), address.marks)
        if position is None:
            return []
        begin = Cursor.from_json(position).begin
        answer = await self._lidarr.listing("/queue/details", {"includeAlbum": "false", "includeArtist": "false"})
        found = read_queue(answer.body, skew=self._clock.now() - answer.at)
        since, until = self._clock.now() - (answer.at - begin) - OVERLAP, self._clock.now() - self._settling
        return await untold([each for each in found if each.at is None or since <= each.at <= until], self._told)
