"""What is remembered of peers, in the database of the service.

Every change locks the peer's row, applies a rule of the domain and writes the row: two replicas lose nothing of each
other's.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from libs.clock import Clock
from libs.errors import AppError
from libs.sql.engine import Database
from libs.sql.paging import Order, PageTokens, SortKey
from libs.telemetry.logger import get_logger
from services.acquisition.domain.reputation import BLOCK, PeerPage, PeerRecord, is_remembered
from services.acquisition.tables import peer as table

log = get_logger()

_BY_NAME = Order(keys=(SortKey(column=table.c.name, descending=False),))

Change = Callable[[PeerRecord, datetime], PeerRecord]


class SqlPeerRecords:
    """Implements `domain.reputation.PeerRecords`, and what people do with the list.

    `block` is for how long a peer is left alone that failed too often.
    """

    def __init__(
        self, database: Database, *, tokens: PageTokens, clock: Clock, block: Callable[[], timedelta] = lambda: BLOCK
    ) -> None:
        self._block = block
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._locked = _locked(database.dialect)

    async def of(self, peers: Collection[str]) -> Mapping[str, PeerRecord]:
        """What is remembered of those peers, read at once; nothing while the database is away."""
        try:
            return await self._read(set(peers))
        except AppError as error:
            log.warning("peers.not_read", reason=error.code_reason)
            return {}

    async def failed(self, peer: str, reason: str) -> None:
        """Count a failure that is the peer's own."""
        if is_remembered(reason):
            block = self._block()
            await self._note(peer, lambda record, now: record.failed(reason, now, block=block))

    async def delivered(self, peer: str, size: int) -> None:
        """Count a file of so many bytes."""
        await self._note(peer, lambda record, now: record.delivered(size, now))

    async def block(self, peer: str, until: datetime | None, reason: str) -> PeerRecord:
        """Block it by hand."""
        return await self._change(peer, lambda record, _: record.blocked(until, reason))

    async def unblock(self, peer: str) -> PeerRecord:
        """End its block and forget its failures."""
        return await self._change(peer, lambda record, _: record.unblocked())

    async def page(self, *, blocked: bool, page_size: int, page_token: str) -> PeerPage:
        """Peers in the order of their names; raises InvalidArgument for a token that cannot be read."""
        now = self._clock.now()
        page = self._tokens.page(size=page_size, token=page_token, order=_BY_NAME, arguments=["peers", str(blocked)])
        statement = select(table).where(table.c.blocked_until > now) if blocked else select(table)
        async with self._database.reading() as connection:
            rows, token = page.cut((await connection.execute(page.apply(statement))).all())
        return PeerPage(records=[_record(row._mapping).at(now) for row in rows], next_token=token)

    async def _read(self, peers: Collection[str]) -> Mapping[str, PeerRecord]:
        now = self._clock.now()
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(table).where(table.c.name.in_(peers)))).mappings().all()
        return {row["name"]: _record(row).at(now) for row in rows}

    async def _note(self, peer: str, change: Change) -> None:
        try:
            await self._change(peer, change)
        except AppError as error:  # an acquisition must not fail for a note about a peer
            log.warning("peers.not_noted", peer=peer, reason=error.code_reason)

    async def _change(self, peer: str, change: Change) -> PeerRecord:
        now = self._clock.now()
        async with self._database.writing() as connection:
            row = (await connection.execute(self._locked, _row(PeerRecord(peer=peer), now))).mappings().one()
            record = change(_record(row), now)
            await connection.execute(update(table).where(table.c.name == peer).values(_row(record, now)))
        return record.at(now)


def _locked(dialect: str) -> Any:
    """Makes the peer's row where there is none, locks it, and reads it."""
    insert: Callable[..., Any] = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = insert(table)
    made: Insert = statement.on_conflict_do_update(
        index_elements=[table.c.name], set_={"name": statement.excluded.name}
    ).returning(*table.c)
    return made


def _row(record: PeerRecord, now: datetime) -> dict[str, Any]:
    return {
        "name": record.peer,
        "failures": record.failures,
        "successes": record.successes,
        "received_bytes": record.received_bytes,
        "first_failure": record.first_failure,
        "last_failure": record.failed_at,
        "last_failure_reason": record.last_failure,
        "blocked_until": record.blocked_until,
        "manual": record.manual,
        "reason": record.reason,
        "updated": now,
    }


def _record(row: Mapping[Any, Any]) -> PeerRecord:
    return PeerRecord(
        peer=row["name"],
        failures=row["failures"],
        successes=row["successes"],
        received_bytes=row["received_bytes"],
        blocked_until=row["blocked_until"],
        manual=row["manual"],
        reason=row["reason"],
        first_failure=row["first_failure"],
        failed_at=row["last_failure"],
        last_failure=row["last_failure_reason"],
    )
