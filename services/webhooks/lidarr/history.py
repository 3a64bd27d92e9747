"""What Lidarr's history tells and no webhook told: events that it dropped, or sent while nobody listened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from libs.clock import Clock
from services.webhooks.domain.backfill import (
    SETTLING,
    Backfill,
    Found,
    Missed,
    Told,
    Watermarks,
    marked,
    position_in,
    untold,
)
from services.webhooks.domain.history import WATERMARK, Cursor, album_ids, as_found, described, read_rows, settled
from services.webhooks.peers import Answer, Peer, PeerRefused, PeerUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What one look at the history found, and where the next one begins; nothing where Lidarr is not set up."""

    found: Sequence[Found] = ()
    position: Mapping[str, Any] | None = None


class LidarrHistory:
    """The gap between Lidarr's history and our events. The first look only says where to begin."""

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
        return self._backfill.planned((await self._look()).found)

    async def fill(self) -> Sequence[Missed]:
        """Brings it in, and only then moves on. Raises AppError."""
        look = await self._look()
        missed = await self._backfill.bring_in(look.found)
        if look.position is not None:
            await self._watermarks.move(WATERMARK, look.position)
        return missed

    async def _look(self) -> _Look:
        address = self._lidarr.address
        if address is None:
            return _Look()
        position = position_in(await self._watermarks.find(WATERMARK), address.marks)
        found, cursor = await self._read(None if position is None else Cursor.from_json(position))
        if self._lidarr.address != address:
            raise PeerUnavailable("the settings of Lidarr changed meanwhile")
        return _Look(found=found, position=marked(cursor.to_json(), address.marks))

    async def _read(self, kept: Cursor | None) -> tuple[Sequence[Found], Cursor]:
        """What is missing behind the cursor, and the next one; without one, where to begin."""
        if kept is None:
            now = (await self._lidarr.get("/system/status")).at
            return [], Cursor(begin=now, date=now)
        answer = await self._ask(kept)
        cursor = kept.until(answer.at)
        if cursor != kept:
            answer = await self._ask(cursor)
        rows = settled(read_rows(answer.body), answer.at - self._settling)
        new = [row for row in rows if row.key not in cursor.seen]
        missing = await untold(as_found(new, skew=self._clock.now() - answer.at), self._told)
        return await self._described(missing), cursor.after(new)

    async def _ask(self, cursor: Cursor) -> Answer:
        date = cursor.since.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return await self._lidarr.listing("/history/since", {"date": date, "includeAlbum": "false"})

    async def _described(self, missing: Sequence[Found]) -> list[Found]:
        """With the release groups of their albums: an acquisition may not know Lidarr's own ids yet."""
        wanted = dict.fromkeys(number for each in missing for number in album_ids(each))
        albums = {number: await self._album(number) for number in wanted}
        return [described(each, albums) for each in missing]

    async def _album(self, number: int) -> dict[str, Any]:
        try:
            body = (await self._lidarr.get(f"/album/{number}")).body
        except PeerRefused as error:
            if error.status != HTTPStatus.NOT_FOUND:  # that it was deleted a moment ago
                raise
            return {}
        return body if isinstance(body, dict) else {}
