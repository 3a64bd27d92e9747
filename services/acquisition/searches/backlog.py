"""The SQL of searches as those see them who collect the answers: taken by one process, ended for all who asked."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, update

from libs.sql.engine import Database
from libs.sql.types import from_millis, now_ms
from services.acquisition.domain.control import KillSwitchOn
from services.acquisition.domain.searching import Offered, Question, SearchState, kept
from services.acquisition.searches import rows
from services.acquisition.switches import standing
from services.acquisition.tables import search as table

ABANDONED = timedelta(seconds=60)  # without a sign of life of who collects
UNWANTED = timedelta(minutes=3)  # without anybody who could collect

_RUNNING = table.c.state == SearchState.RUNNING
_CUT_OFF = "Cut off: the process that collected the answers is gone. Search again."
_NOBODY = "Nobody is connected to the network of peers. Check /api/v1/acquisitions:status, then search again."


class SqlBacklog:
    """Searches to be run, by their questions: those of several owners who ask the same are one."""

    def __init__(self, database: Database, *, now: ColumnElement[int] | None = None) -> None:
        self._database = database
        self._now = select(now_ms() if now is None else now)

    async def take(self, runner: str, limit: int) -> Sequence[Question]:
        """Take the oldest questions that nobody works on; of several processes that try, each gets others.

        While the kill switch is on there are none: those that wait end, telling who put it on, and why.
        """
        free = _RUNNING & table.c.runner.is_(None)
        async with self._database.reading() as connection:
            if (await connection.execute(select(table.c.id).where(free).limit(1))).first() is None:
                return []
        taken: dict[str, Question] = {}
        async with self._database.writing() as connection:
            now = from_millis((await connection.execute(self._now)).scalar_one())
            try:
                (await standing(connection)).ensure_off()
            except KillSwitchOn as refusal:
                ended = {"state": SearchState.FAILED, "problem": refusal.message, "updated": now}
                await connection.execute(update(table).where(free).values(version=table.c.version + 1, **ended))
                return []
            found = select(table.c.fingerprint, table.c.query, table.c.album).where(free).order_by(table.c.created)
            for row in (await connection.execute(found.with_for_update())).mappings():
                if row["fingerprint"] in taken or len(taken) < limit:
                    taken[row["fingerprint"]] = rows.question_of(dict(row))
            mine = free & table.c.fingerprint.in_(taken)
            await connection.execute(update(table).where(mine).values(runner=runner, updated=now))
        return list(taken.values())

    async def end(self, question: Question, offers: Sequence[Offered] = (), *, problem: str = "") -> None:
        """Give all who asked this what came of it."""
        asked = _RUNNING & (table.c.fingerprint == question.fingerprint)
        state = SearchState.FAILED if problem else SearchState.DONE
        stored = [offer.to_json() for offer in kept(offers)]
        await self._set(asked, state=state, problem=problem, offers=stored, offer_count=len(offers), runner=None)

    async def ensure_going(self) -> None:
        """Goes before everything that is sent; raises KillSwitchOn, and Unavailable where that cannot be known."""
        async with self._database.reading() as connection:
            (await standing(connection)).ensure_off()

    async def touch(self, runner: str, questions: Iterable[Question]) -> None:
        """Say that this process still collects the answers to these."""
        mine = _RUNNING & (table.c.runner == runner) & table.c.fingerprint.in_([each.fingerprint for each in questions])
        async with self._database.writing() as connection:
            now = from_millis((await connection.execute(self._now)).scalar_one())
            await connection.execute(update(table).where(mine).values(updated=now))

    async def release(self, runner: str) -> None:
        """Leave what is not ended to another process."""
        await self._set(_RUNNING & (table.c.runner == runner), runner=None)

    async def give_up(self) -> None:
        """End what nobody collects any more, or ever did."""
        async with self._database.reading() as connection:
            now = from_millis((await connection.execute(self._now)).scalar_one())
            cut_off = _RUNNING & table.c.runner.is_not(None) & (table.c.updated <= now - ABANDONED)
            unwanted = _RUNNING & table.c.runner.is_(None) & (table.c.updated <= now - UNWANTED)
            if (await connection.execute(select(table.c.id).where(cut_off | unwanted).limit(1))).first() is None:
                return  # as nearly always: nothing is written
        await self._set(cut_off, state=SearchState.FAILED, problem=_CUT_OFF, runner=None)
        await self._set(unwanted, state=SearchState.FAILED, problem=_NOBODY)

    async def _set(self, which: ColumnElement[bool], **values: Any) -> None:
        async with self._database.writing() as connection:
            now = from_millis((await connection.execute(self._now)).scalar_one())
            changed = values | {"updated": now, "version": table.c.version + 1}
            await connection.execute(update(table).where(which).values(changed))
