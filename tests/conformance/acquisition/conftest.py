"""A store of acquisitions on each kind of database, with what a test needs to drive it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from libs import ids
from libs.clock import SystemClock
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.work.job import Claim, Done, Next
from libs.work.store import SqlWorkStore
from services.acquisition import tables
from services.acquisition.domain.acquisition import USUAL_PRIORITY, Acquisition, State
from services.acquisition.domain.acquisitions import Acquisitions, Rules
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.bell import Bell
from services.acquisition.domain.step import Binding, Move
from services.acquisition.domain.wish import Wish
from services.acquisition.store import SqlAcquisitionStore
from services.acquisition.workers import TTL
from tests.support.schema import open_migrated

CLOCK = SystemClock()


@dataclass
class Service:
    """The use cases on a real database, and the engine below them."""

    database: Database
    jobs: SqlWorkStore
    store: SqlAcquisitionStore
    acquisitions: Acquisitions
    bell: Bell
    rules: Rules

    async def ask(
        self,
        title: str = "Lorem",
        *,
        artist: str = "The Placeholders",
        source: Source | None = None,
        mbid: str | None = None,
        request_id: str | None = None,
        fallback: Source | None = None,
        priority: int = USUAL_PRIORITY,
        actor: str = "ann",
    ) -> Acquisition:
        album = Album(artist=artist, title=title, release_group_mbid=mbid)
        wish = Wish(
            album=album, source=source, fallback=fallback, priority=priority, request_id=request_id, actor=actor
        )
        return await self.acquisitions.create(wish)

    async def claim(self, source: Source = Source.SOULSEEK) -> Claim:
        (claim,) = await self.jobs.claim(source.lower(), "test", 1, TTL)
        return claim

    async def end(self, claim: Claim, move: Move, *, before: Acquisition | None = None) -> None:
        """End a step as the worker does; `before` is what the step was given."""
        before = before or await self.store.get(claim.id)
        save = self.store.saving(before, move.acquisition, move.binding)
        state, queue = move.acquisition.state, move.acquisition.current.lower()
        outcome = (
            Next(state=state, queue=queue, kind=queue, delay=move.delay, write=save)
            if move.acquisition.active
            else Done(state=state, write=save)
        )
        async with self.jobs.commit(claim, outcome):
            pass

    async def waits_for_lidarr(self, acquisition: Acquisition, binding: Binding) -> Acquisition:
        """An acquisition whose Lidarr attempt is open."""
        now = CLOCK.now()
        claim = await self.claim(Source.LIDARR)
        searching = acquisition.moved(State.SEARCHING, now).tried(Source.LIDARR, "", now).moved(State.WAITING, now)
        await self.end(claim, Move(acquisition=searching, delay=timedelta(hours=1), binding=binding))
        return await self.store.get(acquisition.id)


@pytest.fixture
async def database(dialect: str, request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A database of each kind with the service's tables, and nothing in them."""
    postgres = request.getfixturevalue("postgres") if dialect == "postgresql" else None
    async with open_migrated(postgres, tmp_path) as database:
        yield database


@pytest.fixture
async def service(database: Database) -> Service:
    """A fresh service with a music folder, whose callers do not wait for cancellations."""
    jobs = SqlWorkStore(database, tables.engine)
    store = SqlAcquisitionStore(database, jobs, tokens=PageTokens(b"key"))
    bell = Bell()
    service: Service

    async def calmly() -> None:
        """Nothing runs here."""

    acquisitions = Acquisitions(
        store, rules=lambda: service.rules, bell=bell, hurry=calmly, clock=CLOCK, new_id=ids.new, cancel_wait=0
    )
    rules = Rules(music_path="/music")
    service = Service(database=database, jobs=jobs, store=store, acquisitions=acquisitions, bell=bell, rules=rules)
    return service
