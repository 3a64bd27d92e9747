"""Upkeep over gRPC: what a running service finds about itself, corrects, and tells."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from lockgroove.webhooks.v1 import upkeep_pb2 as pb
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as rpc
from lockgroove.webhooks.v1 import webhooks_pb2
from sqlalchemy import text

from libs.rpc.client import open_channel
from libs.sql.engine import Database, open_database
from libs.sql.url import database_url
from services.webhooks.settings import Settings
from tests.integration.webhooks.conftest import serving, settings_in
from tests.support.lidarr_webhooks import grab
from tests.support.waiting import eventually
from tests.support.webhook_peers import OPERATOR_KEY, Peers


@asynccontextmanager
async def upkeep_of(settings: Settings) -> AsyncIterator[rpc.UpkeepServiceStub]:
    async with open_channel(settings.listen, credential=OPERATOR_KEY) as channel:
        yield rpc.UpkeepServiceStub(channel)


@asynccontextmanager
async def database_of(settings: Settings) -> AsyncIterator[Database]:
    url, schema = (
        database_url(home=settings.home, service="webhooks", configured=settings.database),
        "lockgroove_webhooks",
    )
    async with open_database(url, schema=schema) as database:
        yield database


async def reconcile(stub: rpc.UpkeepServiceStub, *, dry_run: bool) -> list[tuple[str, str]]:
    """What was found, but for what acquisitions that are pretended cannot answer."""
    response = await stub.ReconcileEvents(pb.ReconcileEventsRequest(dry_run=dry_run))
    assert response.dry_run is dry_run
    found = [(pb.Finding.Kind.Name(each.kind), each.subject) for each in response.findings]
    return [each for each in found if each[0] != "UNKNOWN"]


async def lose_work(database: Database, event_id: str) -> None:
    async with database.writing() as connection:
        await connection.execute(text("DELETE FROM work WHERE id = :id"), {"id": event_id})


async def test_what_is_missing_is_previewed_made_and_recorded(tmp_path: Path, where: str | None, peers: Peers) -> None:
    settings = settings_in(tmp_path, peers, database=where)
    async with serving(settings, peers) as webhooks, upkeep_of(settings) as stub, database_of(settings) as database:
        event_id = await webhooks.deliver(grab())
        await webhooks.reaches(event_id, webhooks_pb2.Event.DONE)
        await lose_work(database, event_id)
        missing = [("WORK_MISSING", f"events/{event_id}")]

        assert await reconcile(stub, dry_run=True) == missing
        assert await reconcile(stub, dry_run=False) == missing
        assert await reconcile(stub, dry_run=False) == []

        await webhooks.reaches(event_id, webhooks_pb2.Event.DONE)
        records = await stub.ListAuditRecords(pb.ListAuditRecordsRequest(filter='actor = "reconciler"'))
        assert [record.subject for record in records.audit_records] == [f"events/{event_id}"]


async def test_what_was_lost_while_the_service_was_down_is_found_at_its_start(
    tmp_path: Path, where: str | None, peers: Peers
) -> None:
    settings = settings_in(tmp_path, peers, database=where)
    async with serving(settings, peers) as webhooks:
        event_id = await webhooks.deliver(grab())
        await webhooks.reaches(event_id, webhooks_pb2.Event.DONE)
    async with database_of(settings) as database:
        await lose_work(database, event_id)
    before = peers.acquisitions.calls

    async with serving(settings, peers) as webhooks:

        async def told_again() -> bool:
            return peers.acquisitions.calls > before

        await eventually(told_again)


async def test_the_trail_of_a_running_service_is_intact(tmp_path: Path, where: str | None, peers: Peers) -> None:
    settings = settings_in(tmp_path, peers, database=where)
    async with serving(settings, peers) as webhooks, upkeep_of(settings) as stub, database_of(settings) as database:
        event_id = await webhooks.deliver(grab())
        await webhooks.reaches(event_id, webhooks_pb2.Event.DONE)
        await lose_work(database, event_id)
        await reconcile(stub, dry_run=False)

        verdict = await stub.VerifyAuditTrail(pb.VerifyAuditTrailRequest())

        assert verdict.intact, verdict.fault
        assert verdict.record_count > 0
