"""The inbox of jobs: signals that are put in, each once, and wake who waits for them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import BigInteger, ColumnElement, Select, Text, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.work.job import Data
from libs.work.statements import Kind, rows_of
from libs.work.tables import WorkTables

_KEY: dict[str, Kind] = {"job_id": Text(), "event_id": Text()}
_COUNT: dict[str, Kind] = {"job_id": Text(), "more": BigInteger()}


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSignal:
    """Something to tell a job; the same `event_id` counts once."""

    job_id: str
    event_id: str
    body: Data

    @property
    def key(self) -> tuple[str, str]:
        """Which signal it is."""
        return self.job_id, self.event_id


class SqlInbox:
    """Puts signals in, many at a time, in statements whose text stays the same."""

    def __init__(self, tables: WorkTables, now: ColumnElement[int], dialect: str) -> None:
        work, signal = tables.work, tables.signal
        given = rows_of("p_keys", _KEY, dialect).subquery("given").c
        counts = rows_of("p_counts", _COUNT, dialect).cte("counts").c
        self._lock: Select[Any] = (
            select(work.c.id, work.c.signal_seq)
            .where(work.c.id.in_(select(given.job_id)), tables.unfinished)
            .order_by(work.c.id)  # as everybody locks jobs
            .with_for_update()
        )
        self._known: Select[Any] = select(signal.c.job_id, signal.c.event_id).where(
            tuple_(signal.c.job_id, signal.c.event_id).in_(select(given.job_id, given.event_id))
        )
        self._insert = insert(signal).values(received=now, consumed=False)
        self._count = (
            update(work).where(work.c.id == counts.job_id).values(signal_seq=work.c.signal_seq + counts.more, due=now)
        )

    async def put(self, connection: AsyncConnection, signals: Sequence[NewSignal]) -> list[bool]:
        """Puts them in and makes their jobs due; False for one that was there, or whose job has ended."""
        if not signals:
            return []
        keys = {"p_keys": orjson.dumps([signal.key for signal in signals]).decode()}
        seqs: dict[str, int] = {row[0]: row[1] for row in await connection.execute(self._lock, keys)}
        seen = {(row[0], row[1]) for row in await connection.execute(self._known, keys)}
        new: list[dict[str, object]] = []
        fresh = []
        for signal in signals:
            fresh.append(signal.job_id in seqs and signal.key not in seen)
            if fresh[-1]:
                seen.add(signal.key)
                seqs[signal.job_id] += 1
                row = {"job_id": signal.job_id, "event_id": signal.event_id, "seq": seqs[signal.job_id]}
                new.append(row | {"body": signal.body})
        if new:
            await connection.execute(self._insert, new)
            counts = Counter(str(row["job_id"]) for row in new)
            await connection.execute(self._count, {"p_counts": orjson.dumps(list(counts.items())).decode()})
        return fresh
