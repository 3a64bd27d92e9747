"""The audit trail in the inbox's database: read, checked, and shortened at its old end."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Row, func, select

from libs.sql.engine import Database
from libs.sql.filters import Field, TextField, TimeField, compile_filter
from libs.sql.paging import Order, PageTokens
from libs.sql.types import now_ms
from libs.work.chain import Chain
from libs.work.proof import Prover
from services.webhooks.domain.audit import DEFAULT_CHECKED, AuditPage, AuditQuery, AuditRecord, TrailVerdict
from services.webhooks.tables import work

STEPS = 200  # of the chain that are removed in one transaction
_COLLECTIONS = {"evt-": "events/", "rpl-": "replays/"}
_record = work.event


@dataclass(frozen=True, slots=True)
class _SubjectField:
    """What a record is about, by the name under which callers know it."""

    column: ColumnElement[str]

    def condition(self, operator: str, value: str) -> ColumnElement[bool]:
        """Names are compared as the ids in them."""
        for collection in _COLLECTIONS.values():
            value = value.removeprefix(collection)
        return TextField(self.column).condition(operator, value)


_FILTERS: Mapping[str, Field] = {
    "event": _SubjectField(_record.c.job_id),
    "actor": TextField(_record.c.actor),
    "to_state": TextField(_record.c.to_state),
    "create_time": TimeField(_record.c.at),
}
_ORDERS = {"sequence": _record.c.seq}


class SqlAuditTrail:
    """The records of the inbox, and the chain that proves them."""

    def __init__(self, database: Database, tokens: PageTokens, key: bytes) -> None:
        self._database = database
        self._tokens = tokens
        self._prover = Prover(database, work, key)

    async def page(self, query: AuditQuery) -> AuditPage:
        """A page of records; raises InvalidArgument for a filter or token that cannot be read."""
        order = Order.parse("sequence desc", fields=_ORDERS, default="", unique=_record.c.seq)
        arguments = ["audit", query.filter]
        page = self._tokens.page(size=query.page_size, token=query.page_token, order=order, arguments=arguments)
        statement = page.apply(select(_record).where(compile_filter(query.filter, _FILTERS)))
        async with self._database.reading() as connection:
            found, token = page.cut((await connection.execute(statement)).all())
        return AuditPage(records=[_to_record(row) for row in found], next_token=token)

    async def verify(self, after: int, max_records: int) -> TrailVerdict:
        """Recompute the chain behind that number, some records at least (0: 100,000); go on from `last`."""
        proof = await self._prover.prove(after, max_records or DEFAULT_CHECKED)
        return TrailVerdict(
            fault=proof.fault, first=proof.first, last=proof.last, records=proof.count, complete=proof.complete
        )


class OldRecords:
    """Records of the audit trail: the oldest go, so that the chain proves the rest. The newest always stay."""

    kind: ClassVar[str] = "records"
    tables: ClassVar[frozenset[str]] = frozenset(["work_event", "work_chain"])

    def __init__(self, database: Database, key: bytes, days: Callable[[], int]) -> None:
        self._database = database
        self._chain = Chain(work, key, now=now_ms())
        self._days = days

    @property
    def rule(self) -> str:
        """For how long they are kept."""
        return f"{self._days()} days"

    async def count(self, now: datetime) -> int:
        """How many are old; of the step of the chain that the limit cuts none will go."""
        old = select(func.count()).select_from(_record).where(_record.c.at < self._limit(now))
        async with self._database.reading() as connection:
            return int((await connection.execute(old)).scalar_one())

    async def remove(self, now: datetime) -> AsyncIterator[int]:
        """Removes old ones, a bounded number of commits each time."""
        while count := await self._remove(self._limit(now)):
            yield count

    def _limit(self, now: datetime) -> datetime:
        return now - timedelta(days=self._days())

    async def _remove(self, before: datetime) -> int:
        async with self._database.writing() as connection:
            return await self._chain.forget(connection, before, steps=STEPS)


def _to_record(row: Row[Any]) -> AuditRecord:
    return AuditRecord(
        sequence=row.seq,
        subject=_COLLECTIONS.get(row.job_id[:4], "") + row.job_id,
        from_state=row.from_state,
        to_state=row.to_state,
        actor=row.actor,
        detail=row.detail,
        created=row.at,
    )
