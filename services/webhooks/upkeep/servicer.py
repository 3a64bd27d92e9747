"""UpkeepService: translate, call, translate."""

from collections.abc import Sequence
from typing import Any, Protocol

from grpc.aio import ServicerContext
from lockgroove.webhooks.v1 import upkeep_pb2 as pb
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as rpc

from services.webhooks.domain.reconciling import Finding
from services.webhooks.upkeep import convert

Context = ServicerContext[Any, Any]


class Reconciler(Protocol):
    """Who reconciles."""

    async def preview(self) -> Sequence[Finding]:
        """What a pass would do now; raises AppError."""
        ...

    async def reconcile(self) -> Sequence[Finding]:
        """A pass, alone in the whole suite; raises AppError."""
        ...


class UpkeepServicer(rpc.UpkeepServiceServicer):
    """The API of upkeep."""

    def __init__(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler

    async def ReconcileEvents(self, request: pb.ReconcileEventsRequest, context: Context) -> pb.ReconcileEventsResponse:
        found = await (self._reconciler.preview() if request.dry_run else self._reconciler.reconcile())
        return pb.ReconcileEventsResponse(findings=map(convert.finding_to_pb, found), dry_run=request.dry_run)
