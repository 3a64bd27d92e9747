"""What tests do with jobs, in as few words as possible."""

from datetime import timedelta

from sqlalchemy import RowMapping, select

from libs.sql.engine import Database
from libs.work.job import Claim, NewJob
from libs.work.store import SqlWorkStore
from libs.work.tables import WorkTables

TTL = timedelta(seconds=30)


class Jobs:
    """Jobs of the queue `albums`, in a store."""

    def __init__(self, database: Database, tables: WorkTables, store: SqlWorkStore) -> None:
        self._database = database
        self._tables = tables
        self._store = store

    async def create(self, job_id: str = "job-1", **changes: object) -> str:
        job = {"id": job_id, "queue": "albums", "kind": "soulseek", "state": "QUEUED", **changes}
        async with self._database.writing() as connection:
            return await self._store.create(connection, NewJob(**job))  # type: ignore[arg-type] # a test's own words

    async def claim(self, owner: str = "me", *, limit: int = 1) -> list[Claim]:
        return await self._store.claim("albums", owner, limit, TTL)

    async def claimed(self, owner: str = "me") -> Claim:
        (claim,) = await self.claim(owner)
        return claim

    async def signal(self, event_id: str = "event-1", job_id: str = "job-1", **body: object) -> bool:
        async with self._database.writing() as connection:
            return await self._store.signal(connection, job_id, event_id, body)

    async def cancel(self, job_id: str = "job-1", *, version: int | None = None) -> bool:
        async with self._database.writing() as connection:
            return await self._store.request_cancel(connection, job_id, version=version)

    async def pause(self, job_id: str = "job-1", paused: bool = True, *, version: int | None = None) -> bool:
        async with self._database.writing() as connection:
            return await self._store.set_paused(connection, job_id, paused, version=version)

    async def prefer(self, job_id: str, priority: int) -> bool:
        async with self._database.writing() as connection:
            return await self._store.set_priority(connection, job_id, priority, actor="ada")

    async def row(self, job_id: str = "job-1") -> RowMapping:
        work = self._tables.work
        async with self._database.reading() as connection:
            return (await connection.execute(select(work).where(work.c.id == job_id))).mappings().one()

    async def rows(self) -> dict[str, RowMapping]:
        work = self._tables.work
        async with self._database.reading() as connection:
            return {row["id"]: row for row in (await connection.execute(select(work))).mappings()}
