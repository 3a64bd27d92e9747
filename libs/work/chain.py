"""The hash chain over `work_event`: one step for all records of a transaction.

    hash = HMAC-SHA256(key, "step" || hash before || record || record ...)

A record is its columns as canonical JSON in one line. The numbers of a step have no gap. The oldest step follows on
`GENESIS`, or on an anchor: the last step that retention removed, in whose place its hash stays, signed.
"""

import hmac
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from sqlalchemy import BigInteger, ColumnElement, Select, delete, func, select, text, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.work.tables import WorkTables

Record = tuple[Any, ...]
"""seq, job_id, version, from_state, to_state, actor, detail, at (milliseconds)."""

GENESIS: Final = bytes(32)
ANCHOR: Final = 0  # as `first_seq`: this row is no step
ADOPTED: Final = "audit"  # as `job_id` of the record that says that older ones were taken in
_EXACT = 2**53  # a larger number may come back from the database as another one
_PAGE = 1_000  # records of which older versions made no chain, a step

# The records arrive as one JSON document: the text of a statement stays the same however many there are.
_ADD_RECORDS: Final = {
    "sqlite": text(
        "INSERT INTO work_event (seq, job_id, version, from_state, to_state, actor, detail, at)"
        " SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),"
        " json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),"
        " json_extract(value, '$[6]'), json_extract(value, '$[7]') FROM json_each(:records)"
    ),
    "postgresql": text(
        "INSERT INTO work_event (seq, job_id, version, from_state, to_state, actor, detail, at)"
        " SELECT (r->>0)::bigint, r->>1, (r->>2)::bigint, r->>3, r->>4, r->>5, r->6, (r->>7)::bigint"
        " FROM jsonb_array_elements(CAST(:records AS jsonb)) AS given(r)"
    ),
}
_FIRST: Final = {
    "sqlite": "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'work_event'), 0) + 1",
    "postgresql": (
        "(SELECT min(nextval(pg_get_serial_sequence('work_event', 'seq')))"
        " FROM generate_series(1, CAST(:count AS integer)))"
    ),
}


class Chain:
    """Appends records with the step that proves them, and lets the oldest go.

    Whoever appends holds the outbox's lock, so that each step follows on the one before.
    """

    def __init__(self, tables: WorkTables, key: bytes, *, now: ColumnElement[int]) -> None:
        self._tables = tables
        self._key = key
        chain = tables.chain
        newest = select(chain.c.hash).order_by(chain.c.last_seq.desc()).limit(1).scalar_subquery()
        self._begins = {dialect: select(newest, text(first), now) for dialect, first in _FIRST.items()}

    async def append(self, connection: AsyncConnection, changes: Sequence[Mapping[str, Any]]) -> None:
        """Writes changes as the next step, at the time of the database's clock."""
        previous, first, at = await self._begin(connection, len(changes))
        if previous is None:
            adopted, previous = await self._adopt(connection)
            if adopted:
                changes = [_adoption(adopted), *changes]
                _, first, at = await self._begin(connection, len(changes))
        lines = [line_of(record_of(first + index, change, at)) for index, change in enumerate(changes)]
        await self._link(connection, first, previous, lines)
        document = b"[" + b",".join(lines) + b"]"
        await connection.execute(_ADD_RECORDS[connection.dialect.name], {"records": document.decode()})

    async def forget(self, connection: AsyncConnection, before: datetime, *, steps: int, most: int = 1_000) -> int:
        """Removes up to so many of the oldest steps, all of whose records are older; returns how many records.

        More than one goes only while they have at most so many records. The newest step always stays. The rest can
        still be proven.
        """
        through = await self._through(connection, before, steps, most)
        if through is None:
            return 0
        chain, event = self._tables.chain, self._tables.event
        sealed = await connection.scalar(select(chain.c.hash).where(chain.c.last_seq == through))
        anchor = {"first_seq": ANCHOR, "previous": anchor_of(self._key, through, sealed or b"")}
        await connection.execute(update(chain).where(chain.c.last_seq == through).values(anchor))
        await connection.execute(delete(chain).where(chain.c.last_seq < through))
        return (await connection.execute(delete(event).where(event.c.seq <= through))).rowcount

    async def _begin(self, connection: AsyncConnection, count: int) -> tuple[bytes | None, int, int]:
        """The newest hash, the first of so many numbers that follow each other, and the time."""
        row = (await connection.execute(self._begins[connection.dialect.name], {"count": count})).one()
        return row[0], row[1], row[2]

    async def _link(self, connection: AsyncConnection, first: int, previous: bytes, lines: Sequence[bytes]) -> bytes:
        seal = step_of(self._key, previous)
        for line in lines:
            seal.update(line)
        step = {"last_seq": first + len(lines) - 1, "first_seq": first, "previous": previous, "hash": seal.digest()}
        await connection.execute(self._tables.chain.insert(), step)
        return seal.digest()

    async def _adopt(self, connection: AsyncConnection) -> tuple[int, bytes]:
        """Takes in what was recorded before there was a chain, as it stands; returns how much, and the hash over it."""
        count, previous = 0, GENESIS
        async for run in self._runs(connection):
            previous = await self._link(connection, run[0][0], previous, [line_of(record) for record in run])
            count += len(run)
        return count, previous

    async def _runs(self, connection: AsyncConnection) -> AsyncIterator[list[Record]]:
        """All records, in pieces without a gap."""
        after, run = 0, list[Record]()
        while page := (await connection.execute(records(self._tables, after).limit(_PAGE))).all():
            for row in page:
                if run and row[0] != run[-1][0] + 1:
                    yield run
                    run = []
                run.append(tuple(row))
            yield run
            after, run = page[-1][0], []

    async def _through(self, connection: AsyncConnection, before: datetime, steps: int, most: int) -> int | None:
        """The number up to which the oldest steps may go."""
        chain, event = self._tables.chain, self._tables.event
        newest = select(func.max(chain.c.last_seq)).scalar_subquery()
        oldest = (
            select(chain.c.first_seq, chain.c.last_seq, event.c.at)
            .outerjoin(event, event.c.seq == chain.c.last_seq)
            .where(chain.c.first_seq != ANCHOR, chain.c.last_seq < newest)
            .order_by(chain.c.last_seq)
            .limit(steps)
        )
        through = start = None
        for first, last, at in await connection.execute(oldest):
            start = first if start is None else start
            if at is None or at >= before or (through is not None and last - start >= most):
                break
            through = last
        return through


def records(tables: WorkTables, after: int) -> Select[Any]:
    """The records behind a number, as tuples from which `line_of` makes their lines."""
    event = tables.event.c
    columns = (event.seq, event.job_id, event.version, event.from_state, event.to_state, event.actor, event.detail)
    return select(*columns, type_coerce(event.at, BigInteger)).where(event.seq > after).order_by(event.seq)


def record_of(seq: int, change: Mapping[str, Any], at: int) -> Record:
    """The record of a change."""
    states = change["version"], change["from_state"], change["to_state"]
    return seq, change["job_id"], *states, change["actor"], change["detail"], at


def line_of(record: Record) -> bytes:
    """A record as canonical JSON: the same before it was written and as either database gives it back."""
    return orjson.dumps([*record[:6], _plain(record[6]), record[7]], option=orjson.OPT_SORT_KEYS)


def step_of(key: bytes, previous: bytes) -> "hmac.HMAC":
    """What a step's hash begins with; its lines follow."""
    return hmac.new(key, b"step" + previous, "sha256")


def anchor_of(key: bytes, through: int, sealed: bytes) -> bytes:
    """The signature of an anchor: all up to that number was removed, and the last hash was this one."""
    return hmac.digest(key, b"anchor %d " % through + sealed, "sha256")


def _adoption(count: int) -> dict[str, Any]:
    note = {"job_id": ADOPTED, "version": 0, "from_state": "", "to_state": "", "actor": ADOPTED}
    return note | {"detail": {"adopted": count}}


def _plain(value: Any) -> Any:
    """Numbers in one spelling: jsonb writes 1e16 as an integer."""
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
        case bool():
            return value
        case float() if value.is_integer() and abs(value) < _EXACT:
            return int(value)
        case int() if abs(value) >= _EXACT:
            return float(value)
    return value
