"""Acquisitions of the versions before the third migration are read, found and gone on with."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from libs.clock import SystemClock
from libs.sql.engine import Database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from libs.work.store import SqlWorkStore
from services.acquisition import migrations, tables
from services.acquisition.domain.acquisition import USUAL_PRIORITY, Acquisition
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.soulseek_plan import SoulseekPlan
from services.acquisition.domain.wish import Scope, Wish
from services.acquisition.store import SqlAcquisitionStore

ALBUM = Album(artist="The Placeholders", title="Lorem")
KEY = Wish(album=ALBUM).key(Scope.GLOBAL)

_WORK = text(
    "INSERT INTO work (id, queue, kind, state, done, version, data, data_schema, due, fence, attempt, crashes, error,"
    " cancel_requested, signal_seq, dedup_key, request_id, traceparent, created, updated)"
    " VALUES ('acq-old', 'soulseek', 'soulseek', 'DOWNLOADING', false, 3, '{\"offers\": [], \"searches\": 1}', 1, 0,"
    " 2, 0, 0, '', false, 0, :key, '', '', 0, 0)"
)
_ACQUISITION = text(
    "INSERT INTO acquisition (id, artist, title, release_group_mbid, album, source, created, failure_reason,"
    " failure_message) VALUES ('acq-old', 'The Placeholders', 'Lorem', '',"
    " '{\"artist\": \"The Placeholders\", \"title\": \"Lorem\"}', 'SOULSEEK', 0, '', '')"
)
_ATTEMPT = text(
    "INSERT INTO attempt (acquisition, number, source, peer, state, reason, error, received_bytes, total_bytes,"
    " finished_count, total_count, started)"
    " VALUES ('acq-old', 1, 'SOULSEEK', 'ada', 'RUNNING', '', '', 5, 9, 0, 1, 0)"
)


@pytest.mark.parametrize("made_at", ["0002", migrations.HEAD])  # before, or by an old replica beside a new one
async def test_an_acquisition_of_an_older_version_goes_on(database: Database, made_at: str) -> None:
    await migrate(database, package=migrations.__name__, head=made_at)
    async with database.writing() as connection:
        await connection.execute(_WORK, {"key": KEY})
        await connection.execute(_ACQUISITION)
        await connection.execute(_ATTEMPT)

    await migrate(database, package=migrations.__name__, head=migrations.HEAD)

    jobs = SqlWorkStore(database, tables.engine)
    store = SqlAcquisitionStore(database, jobs, tokens=PageTokens(b"key"))
    [found] = (await store.page(Query(filter='current_source = "SOULSEEK" AND paused = "false"'))).acquisitions
    assert (found.id, found.current, found.next_source) == ("acq-old", Source.SOULSEEK, None)
    assert (found.priority, found.paused, found.owner, found.batch) == (USUAL_PRIORITY, False, "", None)
    assert found.attempt is not None
    assert (found.attempt.peers, found.attempt.progress.received_bytes) == ((), 5)
    assert (await store.create(_another(), Wish(album=ALBUM, source=Source.LIDARR), key=KEY)).id == "acq-old"
    [claim] = await jobs.claim("soulseek", "me", 9, timedelta(seconds=30))
    assert (claim.state, SoulseekPlan.from_json(claim.data)) == ("DOWNLOADING", SoulseekPlan())


def _another() -> Acquisition:
    now = SystemClock().now()
    return Acquisition(id="acq-new", album=ALBUM, source=Source.LIDARR, created=now, updated=now)
