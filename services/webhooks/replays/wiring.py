"""Replays, put together."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from lockgroove.webhooks.v1 import replays_pb2 as pb
from lockgroove.webhooks.v1 import replays_pb2_grpc as rpc

from libs import ids
from libs.rpc.server import Server
from libs.service import Loop
from libs.work.metrics import WorkMetrics
from libs.work.worker import Worker
from services.webhooks.ground import Ground
from services.webhooks.replays.batches import SqlBatches
from services.webhooks.replays.metrics import ReplayMetrics
from services.webhooks.replays.servicer import ReplayServicer
from services.webhooks.replays.store import SqlReplays
from services.webhooks.replays.worker import ReplayWork

SERVICE = pb.DESCRIPTOR.services_by_name["ReplayService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySlice:
    """The API of replays and the worker that does them."""

    servicer: ReplayServicer
    worker: Worker

    def serve(self, server: Server) -> None:
        """Adds ReplayService to a server."""
        server.add(self.servicer, rpc.add_ReplayServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        return [self.worker.run]


def make_replays(ground: Ground, *, replayed: Callable[[], None]) -> ReplaySlice:
    """Wires the slice; `replayed` is called when events are due once more."""
    replays = SqlReplays(ground.database, ground.jobs, ground.interventions, tokens=ground.tokens)
    work = ReplayWork(
        replays,
        SqlBatches(ground.database, ground.interventions),
        ground.jobs,
        metrics=ReplayMetrics(ground.telemetry.metrics),
        clock=ground.clock,
        tracer=ground.telemetry.tracer,
        steps=WorkMetrics(ground.telemetry.metrics, ground.clock),
        replayed=replayed,
    )
    servicer = ReplayServicer(replays, new_id=partial(ids.new, "rpl"), changed=work.worker.wake)
    return ReplaySlice(servicer=servicer, worker=work.worker)
