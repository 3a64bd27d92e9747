"""UpkeepService: translate, call, translate."""

from collections.abc import Sequence
from typing import Any, Protocol

from grpc.aio import ServicerContext
from lockgroove.webhooks.v1 import upkeep_pb2 as pb
from lockgroove.webhooks.v1 import upkeep_pb2_grpc as rpc

from services.webhooks.domain.audit import AuditTrail
from services.webhooks.domain.reconciling import Finding
from services.webhooks.upkeep import convert
from services.webhooks.upkeep.registration import RegistrationCheck

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

    def __init__(self, reconciler: Reconciler, trail: AuditTrail, registration: RegistrationCheck) -> None:
        self._reconciler = reconciler
        self._trail = trail
        self._registration = registration

    async def CheckRegistration(
        self, request: pb.CheckRegistrationRequest, context: Context
    ) -> pb.CheckRegistrationResponse:
        return convert.report_to_pb(await self._registration.check())

    async def ReconcileEvents(self, request: pb.ReconcileEventsRequest, context: Context) -> pb.ReconcileEventsResponse:
        found = await (self._reconciler.preview() if request.dry_run else self._reconciler.reconcile())
        return pb.ReconcileEventsResponse(findings=map(convert.finding_to_pb, found), dry_run=request.dry_run)

    async def ListAuditRecords(
        self, request: pb.ListAuditRecordsRequest, context: Context
    ) -> pb.ListAuditRecordsResponse:
        page = await self._trail.page(convert.query_from_pb(request))
        records = map(convert.record_to_pb, page.records)
        return pb.ListAuditRecordsResponse(audit_records=records, next_page_token=page.next_token)

    async def VerifyAuditTrail(
        self, request: pb.VerifyAuditTrailRequest, context: Context
    ) -> pb.VerifyAuditTrailResponse:
        verdict = await self._trail.verify(request.after_sequence, convert.checked_from_pb(request))
        return convert.verdict_to_pb(verdict)
