"""The SQL of replays as people see them: begun once, read, and steered whoever works on them."""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.errors import InvalidArgument
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.sql.types import from_millis, now_ms
from libs.work.interventions import SqlInterventions
from libs.work.job import NewJob
from libs.work.store import SqlWorkStore
from services.webhooks.domain.event import EventNotFound
from services.webhooks.domain.replays import (
    NewReplay,
    Preview,
    Replay,
    ReplayChanged,
    ReplayEnded,
    ReplayNotFound,
    ReplayPage,
    ReplayState,
    RequestIdReused,
    Selection,
)
from services.webhooks.replays import rows
from services.webhooks.tables import event, replay

QUEUE = "replays"
_SAMPLES = 10
_PARKED = timedelta(days=36_500)  # paused: until somebody resumes it
_ENDED = frozenset({ReplayState.COMPLETED, ReplayState.CANCELLED, ReplayState.FAILED})


class _RequestTaken(Exception):
    """Another call with the same request id came first."""


class SqlReplays:
    """The replays, on SQLite and PostgreSQL: rows beside jobs of the queue `replays` with the same ids."""

    def __init__(
        self,
        database: Database,
        jobs: SqlWorkStore,
        interventions: SqlInterventions,
        *,
        tokens: PageTokens,
        now: ColumnElement[int] | None = None,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._interventions = interventions
        self._tokens = tokens
        self._now = select(now_ms() if now is None else now)

    async def preview(self, selection: Selection) -> Preview:
        """What a replay would do now; raises InvalidArgument, or EventNotFound for a name."""
        async with self._database.reading() as connection:
            began = await self._time(connection)
            matched, taken = await _counted(connection, selection, began)
            takes = rows.selected(selection, began) & rows.replayable(selection, began)
            some = rows.events_of(takes).limit(_SAMPLES)
            samples = [row.id for row in await connection.execute(some)]
        return Preview(matched=matched, skipped=matched - taken, samples=samples)

    async def start(self, new: NewReplay) -> Replay:
        """Begin it, or find what the same request began; raises as `preview`, and RequestIdReused."""
        if (before := await self._begun(new)) is not None:
            return before
        async with self._database.reading() as connection:  # counting may take long, and must keep no writer waiting
            began = await self._time(connection)
            matched, _ = await _counted(connection, new.selection, began)
        try:
            return await self._begin(new, matched, began)
        except _RequestTaken:
            before = await self._begun(new)
            assert before is not None, "a request id is never forgotten"
            return before

    async def get(self, replay_id: str) -> Replay:
        """The replay; raises ReplayNotFound."""
        async with self._database.reading() as connection:
            return await _get(connection, replay_id)

    async def page(self, *, page_size: int, page_token: str) -> ReplayPage:
        """A page of replays; raises InvalidArgument for a token that cannot be read."""
        order = rows.NEWEST_REPLAY_FIRST
        page = self._tokens.page(size=page_size, token=page_token, order=order, arguments=["replays"])
        async with self._database.reading() as connection:
            found, token = page.cut((await connection.execute(page.apply(rows.REPLAYS))).all())
        return ReplayPage(replays=[rows.replay_of(row._mapping) for row in found], next_token=token)

    async def steer(self, replay_id: str, state: ReplayState, *, etag: str, actor: str) -> Replay:
        """Pause, resume or cancel it; one that is so already stays so.

        A batch that is under way is either stored before, or not at all. Raises ReplayNotFound, ReplayEnded, or
        ReplayChanged where an etag is given and not the replay's.
        """
        async with self._database.writing() as connection:
            job = (await self._interventions.lock(connection, [replay_id])).get(replay_id)
            before = await _get(connection, replay_id)
            if etag and etag != before.etag:
                raise ReplayChanged(replay_id)
            if before.state is state or job is None:
                return before
            if before.state in _ENDED:
                raise ReplayEnded(replay_id, before.state)
            delay = _PARKED if state is ReplayState.PAUSED else timedelta()
            await self._interventions.move(connection, job, state=state, done=state in _ENDED, delay=delay, actor=actor)
            return await _get(connection, replay_id)

    async def _time(self, connection: AsyncConnection) -> datetime:
        return from_millis((await connection.execute(self._now)).scalar_one())

    async def _begin(self, new: NewReplay, matched: int, began: datetime) -> Replay:
        job = NewJob(id=new.id, queue=QUEUE, kind=QUEUE, state=ReplayState.RUNNING, actor=new.actor)
        try:
            async with self._database.writing() as connection:
                await connection.execute(insert(replay), rows.replay_row(new, matched, began))
                await self._jobs.create(connection, job)
                return await _get(connection, new.id)
        except IntegrityError as error:
            raise _RequestTaken from error

    async def _begun(self, new: NewReplay) -> Replay | None:
        if new.request_id is None:
            return None
        async with self._database.reading() as connection:
            same = rows.REPLAYS.where(replay.c.request_id == new.request_id)
            row = (await connection.execute(same)).mappings().first()
        if row is None:
            return None
        before = rows.replay_of(row)
        if not before.answers(new):
            problem = "was used for another replay before"
            violations = InvalidArgument.field("request_id", problem, reason=RequestIdReused.reason).violations
            raise RequestIdReused(f"request_id: {problem}", violations=violations)
        return before


async def _counted(connection: AsyncConnection, selection: Selection, began: datetime) -> tuple[int, int]:
    """How many events match, and how many of them would be taken; raises EventNotFound for a name of none."""
    if selection.events:
        there = set(await connection.scalars(select(event.c.id).where(event.c.id.in_(selection.events))))
        for event_id in selection.events:
            if event_id not in there:
                raise EventNotFound(event_id)
    counting = rows.count_of(rows.selected(selection, began), rows.replayable(selection, began))
    matched, taken = (await connection.execute(counting)).one()
    return matched, taken


async def _get(connection: AsyncConnection, replay_id: str) -> Replay:
    row = (await connection.execute(rows.REPLAYS.where(replay.c.id == replay_id))).mappings().first()
    if row is None:
        raise ReplayNotFound(replay_id)
    return rows.replay_of(row)
