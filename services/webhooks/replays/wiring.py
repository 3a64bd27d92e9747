"""Replays, put together."""

from collections.abc import Callable
from functools import partial

from lockgroove.webhooks.v1 import replays_pb2 as pb
from lockgroove.webhooks.v1 import replays_pb2_grpc as rpc

from libs import ids
from libs.clock import Clock
from libs.rpc.server import Server
from libs.sql.engine import Database
from libs.sql.paging import PageTokens
from libs.telemetry import Telemetry
from libs.work.interventions import SqlInterventions
from libs.work.outbox import SqlOutbox
from libs.work.store import SqlWorkStore
from libs.work.worker import Worker
from services.webhooks.replays.batches import SqlBatches
from services.webhooks.replays.metrics import ReplayMetrics
from services.webhooks.replays.servicer import ReplayServicer
from services.webhooks.replays.store import SqlReplays
from services.webhooks.replays.worker import ReplayWork
from services.webhooks.tables import work

SERVICE = pb.DESCRIPTOR.services_by_name["ReplayService"].full_name


def serve_replays(
    server: Server,
    database: Database,
    outbox: SqlOutbox,
    *,
    tokens: PageTokens,
    telemetry: Telemetry,
    clock: Clock,
    replayed: Callable[[], None],
) -> Worker:
    """Adds ReplayService to the server; returns the worker, which is to be run."""
    jobs = SqlWorkStore(database, work, outbox=outbox)
    interventions = SqlInterventions(work, outbox)
    replays = SqlReplays(database, jobs, interventions, tokens=tokens)
    worker = ReplayWork(
        replays,
        SqlBatches(database, interventions),
        jobs,
        metrics=ReplayMetrics(telemetry.metrics),
        clock=clock,
        tracer=telemetry.tracer,
        replayed=replayed,
    ).worker
    servicer = ReplayServicer(replays, new_id=partial(ids.new, "rpl"), changed=worker.wake)
    server.add(servicer, rpc.add_ReplayServiceServicer_to_server, SERVICE)
    return worker
