"""What slskd's log of events tells and no webhook told: it sends each once, and loses them at a restart."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

from services.webhooks.domain.backfill import SETTLING, Backfill, Missed, Watermarks, marked, position_in
from services.webhooks.domain.slskd import WATERMARK, LogCursor, LogRow, read_log
from services.webhooks.peers import Answer, Peer, PeerUnavailable

PAGE = 100
_OVERLAP = 10  # rows that two pages share: new events shift the offsets


class KnownKeys(Protocol):
    """Which events are here already."""

    async def known(self, source: str, keys: Collection[str]) -> Collection[str]:
        """Those of the dedup keys under which an event of the source is stored."""
        ...


class SlskdLog:
    """The gap between slskd's log and our events. The first look only says where to begin."""

    def __init__(
        self,
        slskd: Peer,
        backfill: Backfill,
        keys: KnownKeys,
        watermarks: Watermarks,
        *,
        settling: timedelta = SETTLING,
    ) -> None:
        self._slskd = slskd
        self._backfill = backfill
        self._keys = keys
        self._watermarks = watermarks
        self._settling = settling

    @property
    def subject(self) -> str:
        """Whom it asks."""
        return self._backfill.subject

    async def find(self) -> Sequence[Missed]:
        """What is missing; changes nothing. Raises AppError."""
        missing, _ = await self._look()
        return self._backfill.planned([row.found() for row in missing])

    async def fill(self) -> Sequence[Missed]:
        """Brings it in, and only then moves on. Raises AppError."""
        missing, position = await self._look()
        missed = await self._backfill.bring_in([row.found() for row in missing])
        if position is not None:
            await self._watermarks.move(WATERMARK, position)
        return missed

    async def _look(self) -> tuple[list[LogRow], Mapping[str, Any] | None]:
        """The missing rows, oldest first, and where the next look begins; None where slskd is not set up."""
        address = self._slskd.address
        if address is None:
            return [], None
        position = position_in(await self._watermarks.find(WATERMARK), address.marks)
        missing, cursor = await self._read(None if position is None else LogCursor.from_json(position))
        if self._slskd.address != address:
            raise PeerUnavailable("the settings of slskd changed meanwhile")
        return missing, marked(cursor.to_json(), address.marks)

    async def _read(self, kept: LogCursor | None) -> tuple[list[LogRow], LogCursor]:
        if kept is None:
            now = (await self._page(0)).at
            return [], LogCursor(begin=now, date=now, seen={})
        rows, cursor = await self._rows(kept)
        known = await self._keys.known("slskd", [row.key for row in rows])
        missing = [row for row in rows if row.key not in known]
        return missing, cursor.after(rows)

    async def _rows(self, cursor: LogCursor) -> tuple[list[LogRow], LogCursor]:
        """The settled rows behind the cursor: page by page, until one is older. Raises PeerUnavailable."""
        rows: dict[str, LogRow] = {}
        offset = 0
        while True:
            answer = await self._page(offset)
            page = read_log(answer.body)
            cursor = cursor.until(answer.at)
            more = {row.id: row for row in page if row.id not in rows}
            rows |= more
            if len(answer.body) < PAGE or not page or page[-1].timestamp < cursor.since:
                break
            if not more:
                raise PeerUnavailable("what answers as slskd sends the same page again: is it slskd?")
            offset += PAGE - _OVERLAP
        young = answer.at - self._settling
        new = [row for row in rows.values() if cursor.since <= row.timestamp <= young and row.id not in cursor.seen]
        return sorted(new, key=lambda row: row.timestamp), cursor

    async def _page(self, offset: int) -> Answer:
        return await self._slskd.listing("/events", {"offset": offset, "limit": PAGE})
