"""Importing from Kima: history comes along whole, oddities are told, and twice is once."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import func, select

from deploy.cli.importing.database import KimaUnreachable, NotKima
from deploy.cli.importing.kima import Plan, import_kima
from deploy.cli.importing.report import Report
from deploy.cli.importing.stores import NotReady
from libs.crypto import load_root_keys
from libs.errors import AppError
from libs.sql.engine import Database, open_database
from libs.sql.paging import PageTokens
from libs.sql.url import database_url
from libs.work.proof import Prover
from libs.work.store import SqlWorkStore
from services.acquisition import tables
from services.acquisition.batches.store import SqlBatchStore
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.acquisitions import Query
from services.acquisition.domain.batch import AlbumState, BatchState
from services.acquisition.store import SqlAcquisitionStore
from services.webhooks import tables as webhooks
from services.webhooks.domain.catalogue import Query as EventQuery
from services.webhooks.domain.event import State as EventState
from services.webhooks.events.store import SqlEventStore
from services.webhooks.keys import AUDIT_TRAIL, open_keys
from tests.support.kima import GOOD_EVENTS, GOOD_JOBS, MBID, make_kima
from tests.support.new_home import make_schema, move_in
from tests.support.postgres import Postgres
from tests.support.waiting import eventually

HISTORY = Plan(parts=("jobs", "batches", "events"))
TOKENS = PageTokens(b"0" * 32)

Import = Callable[..., Awaitable[Report]]
Finished = tuple[Report, dict[str, str]]


def nothing_shown(part: str, read: int) -> None:
    pass


async def import_all(
    url: str,
    environment: dict[str, str],
    plan: Plan = HISTORY,
    show: Callable[[str, int], None] = nothing_shown,
) -> Report:
    report = Report(dry_run=plan.dry_run)
    await import_kima(url, plan, environment, show, report)
    return report


async def moved_in(home: Path) -> dict[str, str]:
    await move_in(home)
    load_root_keys(home)
    return {"LOCKGROOVE_HOME": str(home)}


@pytest.fixture(scope="module")
def kima_url(postgres: Postgres) -> Iterator[str]:
    """Nobody changes it, so all tests share it."""
    postgres.execute("CREATE DATABASE kima")
    asyncio.run(make_kima(postgres.url("kima")))
    yield postgres.url("kima") + "?schema=public&connection_limit=5"  # as Prisma writes it
    postgres.execute("DROP DATABASE kima WITH (FORCE)")


@pytest.fixture(scope="module")
def finished(kima_url: str, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """An import, for those who only look at what came of it."""
    home = asyncio.run(moved_in(tmp_path_factory.mktemp("home")))
    return asyncio.run(import_all(kima_url, home)), home


@pytest.fixture
async def environment(tmp_path: Path) -> dict[str, str]:
    return await moved_in(tmp_path)


@pytest.fixture
def imported(kima_url: str, environment: dict[str, str]) -> Import:
    async def run(plan: Plan = HISTORY, show: Callable[[str, int], None] = nothing_shown) -> Report:
        return await import_all(kima_url, environment, plan, show)

    return run


@asynccontextmanager
async def database(service: str, environment: dict[str, str]) -> AsyncIterator[Database]:
    home, configured = Path(environment["LOCKGROOVE_HOME"]), environment.get("DATABASE_URL")
    url = database_url(home=home, service=service, configured=configured)
    async with open_database(url, schema=f"lockgroove_{service}") as opened:
        yield opened


async def acquisitions(environment: dict[str, str], **query: str) -> dict[str, Acquisition]:
    async with database("acquisition", environment) as opened:
        store = SqlAcquisitionStore(opened, SqlWorkStore(opened, tables.engine), tokens=TOKENS)
        page = await store.page(Query(filter=query.get("filter", ""), page_size=1000, page_token="", order_by=""))
        return {each.album.title: each for each in page.acquisitions}


async def counted(environment: dict[str, str]) -> dict[str, int]:
    async with database("acquisition", environment) as jobs, database("webhooks", environment) as events:
        counts = {}
        for opened, table in ((jobs, tables.acquisition), (jobs, tables.batch), (events, webhooks.event)):
            async with opened.reading() as connection:
                counts[table.name] = await connection.scalar(select(func.count()).select_from(table)) or 0
        return counts


ALL = {"acquisition": GOOD_JOBS + 11, "batch": 3, "event": GOOD_EVENTS + 2}


async def test_jobs_are_acquisitions_with_their_ends_and_reasons(finished: Finished) -> None:
    _, environment = finished

    found = await acquisitions(environment, filter='requester = "kima/user-2"')
    assert {title: one.state for title, one in found.items()} == {
        "B": State.FAILED,
        "C": State.FAILED,
        "D": State.COMPLETED,
        "d": State.COMPLETED,
        "E": State.CANCELLED,
        "F": State.CANCELLED,
        "G - H": State.COMPLETED,
        "I": State.COMPLETED,
        "J": State.COMPLETED,
        "\x1b[31mL": State.COMPLETED,
    }
    failed = found["B"]
    assert failed.failure is not None
    assert (failed.failure.reason, failed.failure.message) == ("KIMA_FAILED", "no releases")
    assert (failed.album.release_group_mbid, failed.created.isoformat()) == (MBID, "2026-02-01T10:00:00.123000+00:00")


async def test_users_of_kima_keep_their_names(finished: Finished) -> None:
    _, environment = finished

    assert (await acquisitions(environment, filter='requester = "ada"')).keys() == {"Album"}


async def test_what_is_odd_is_told_with_its_row_and_column(finished: Finished) -> None:
    report, _ = finished

    told = {(each.part, each.row, each.column) for each in report.remarks}
    assert told == {
        ("jobs", "unknown", "status"),
        ("jobs", "nameless", "subject"),
        ("jobs", "long", "albumTitle"),
        ("jobs", "artist", "type"),
        ("jobs", "dashes", "subject"),
        ("jobs", "dashes", "targetMbid"),
        ("jobs", "lists", "metadata"),
        ("jobs", "far", "completedAt"),
        ("batches", "odd", "status"),
        ("events", "stranger", "source"),
        ("events", "huge", "payload"),
    }
    assert {part: count.read - count.imported - count.skipped for part, count in report.counts.items()} == {
        "jobs": 0,
        "batches": 0,
        "events": 0,
    }


async def test_the_second_import_changes_nothing(imported: Import, environment: dict[str, str]) -> None:
    await imported()
    before = await counted(environment)

    report = await imported()

    assert before == await counted(environment) == ALL
    assert {part: count.imported for part, count in report.counts.items()} == {"jobs": 0, "batches": 0, "events": 0}


async def test_a_dry_run_counts_and_writes_nothing(imported: Import, environment: dict[str, str]) -> None:
    report = await imported(Plan(parts=HISTORY.parts, dry_run=True))

    assert {part: count.imported for part, count in report.counts.items()} == {
        "jobs": ALL["acquisition"],
        "batches": ALL["batch"],
        "events": ALL["event"],
    }
    assert await counted(environment) == {"acquisition": 0, "batch": 0, "event": 0}


async def test_an_import_that_loses_kima_tells_how_far_it_came_and_the_next_goes_on(
    kima_url: str, environment: dict[str, str], postgres: Postgres
) -> None:
    def end_the_connection(part: str, read: int) -> None:
        ours = "application_name = 'lockgroove import kima'"
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")

    broken = Report(dry_run=False)
    with pytest.raises(KimaUnreachable):
        await import_kima(kima_url, HISTORY, environment, end_the_connection, broken)
    found = (await counted(environment))["acquisition"]

    await import_all(kima_url, environment)

    assert 0 < found == broken.of("jobs").imported < ALL["acquisition"]
    assert not broken.complete
    assert await counted(environment) == ALL


async def test_an_import_that_is_killed_is_finished_by_the_next(
    kima_url: str, imported: Import, environment: dict[str, str]
) -> None:
    blocker = await asyncpg.connect(kima_url.partition("?")[0])
    await blocker.execute('BEGIN; LOCK TABLE "WebhookEvent" IN ACCESS EXCLUSIVE MODE')
    command = Path(sys.executable).with_name("lockgroove")
    variables = {**environment, "KIMA_DATABASE_URL": kima_url}
    process = await asyncio.create_subprocess_exec(
        command, "import", "kima", "--jobs", "--batches", "--events", env=variables
    )

    async def half_way() -> bool:
        return (await counted(environment))["batch"] == ALL["batch"]

    await eventually(half_way)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    await blocker.close()

    report = await imported()

    assert await counted(environment) == ALL
    assert report.of("jobs").there_already == ALL["acquisition"]


async def test_batches_have_their_albums_once_each(finished: Finished) -> None:
    _, environment = finished

    async with database("acquisition", environment) as opened:
        store = SqlBatchStore(opened, SqlWorkStore(opened, tables.engine), tokens=TOKENS)
        page = await store.page(Query(filter="", page_size=10, page_token="", order_by=""))
        states = sorted(batch.state for batch, _ in page.batches)
        done = next(batch.id for batch, _ in page.batches if batch.state is BatchState.COMPLETED)
        albums = [(each.album.title, each.state) for each in (await store.get(done)).albums]

    assert states == [BatchState.CANCELLED, BatchState.COMPLETED, BatchState.FAILED]
    assert albums == [("C", AlbumState.FAILED), ("D", AlbumState.COMPLETED)]


async def test_events_keep_their_bodies_and_none_is_handled_again(finished: Finished) -> None:
    _, environment = finished

    async with database("webhooks", environment) as opened:
        store = SqlEventStore(opened, TOKENS)
        found = (await store.page(EventQuery(page_size=1000))).events
        states = {state: [each for each in found if each.state is state] for state in EventState}
        body = (await store.get(states[EventState.DONE][0].id)).body
        backlog, _ = await store.backlog()
    assert {state: len(events) for state, events in states.items() if events} == {
        EventState.DONE: GOOD_EVENTS,
        EventState.DEAD: 1,
        EventState.IGNORED: 1,
    }
    assert (body, backlog) == (b'{"eventType": "Grab"}', 0)


async def test_imported_events_are_part_of_the_audit_trail(finished: Finished) -> None:
    _, environment = finished

    home = Path(environment["LOCKGROOVE_HOME"])
    async with database("webhooks", environment) as opened:
        safe = await open_keys(opened, load_root_keys(home))
        proof = await Prover(opened, webhooks.work, safe.key_for(AUDIT_TRAIL)).prove(0, 10_000)
    assert not proof.fault
    assert proof.count == ALL["event"]


async def test_into_postgresql_a_dry_run_makes_no_table_and_two_imports_at_once_are_one(
    kima_url: str, environment: dict[str, str], postgres_url: str, tmp_path: Path
) -> None:
    environment |= {"DATABASE_URL": postgres_url}
    for service in ("acquisition", "webhooks"):
        await make_schema(service, home=tmp_path, configured=environment["DATABASE_URL"])

    before = await tables_of(postgres_url)
    await import_all(kima_url, environment, replace(HISTORY, dry_run=True))
    dry = await tables_of(postgres_url)
    reports = await asyncio.gather(import_all(kima_url, environment), import_all(kima_url, environment))

    assert dry == before
    assert await counted(environment) == ALL
    assert sum(report.of("jobs").imported for report in reports) == ALL["acquisition"]


async def tables_of(url: str) -> list[str]:
    connection = await asyncpg.connect(url.partition("?")[0])
    try:
        return [row[0] for row in await connection.fetch("SELECT relname FROM pg_class ORDER BY relname")]
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("postgresql://kima:canary@127.0.0.1:1/kima", "does not answer"),
        ("mysql://kima:canary@127.0.0.1/kima", "KIMA_DATABASE_URL"),
        ("canary", "KIMA_DATABASE_URL"),
    ],
)
async def test_an_address_that_leads_nowhere_is_told_without_its_password(
    url: str, error: str, environment: dict[str, str]
) -> None:
    with pytest.raises(AppError, match=error) as refused:
        await import_all(url, environment)

    assert "canary" not in str(refused.value)


async def test_a_database_of_something_else_is_refused(postgres_url: str, environment: dict[str, str]) -> None:
    with pytest.raises(NotKima, match="is this the database of a Kima"):
        await import_all(postgres_url, environment)


async def test_a_folder_without_data_is_refused_and_stays_as_it_was(kima_url: str, tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="LOCKGROOVE_HOME"):
        await import_all(kima_url, {"LOCKGROOVE_HOME": str(tmp_path / "nothing")})

    assert not (tmp_path / "nothing").exists()


async def test_nothing_is_begun_where_a_part_could_not_follow(
    kima_url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "webhooks.db").rename(tmp_path / "elsewhere")

    with pytest.raises(NotReady):
        await import_all(kima_url, environment)

    (tmp_path / "elsewhere").rename(tmp_path / "webhooks.db")
    assert await counted(environment) == {"acquisition": 0, "batch": 0, "event": 0}
