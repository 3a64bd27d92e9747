"""The acquisition service, as handlers of events need it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import grpc
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from libs.batching import Batcher
from libs.errors import (
    AppError,
    DeadlineExceeded,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from services.webhooks.domain.lidarr import FactKind, LidarrFact

_KINDS = {
    FactKind.GRABBED: pb.ReportLidarrFactRequest.GRABBED,
    FactKind.IMPORTED: pb.ReportLidarrFactRequest.IMPORTED,
    FactKind.DOWNLOAD_FAILED: pb.ReportLidarrFactRequest.DOWNLOAD_FAILED,
    FactKind.IMPORT_FAILED: pb.ReportLidarrFactRequest.IMPORT_FAILED,
}
_CALL_FAILED = (Unavailable, DeadlineExceeded, ResourceExhausted, Unauthenticated, PermissionDenied)
MAX_FACTS = 64  # in one call
MAX_WAITING = 1024
_WAITING_FOR_LIDARR = 'source = "LIDARR" AND state != "COMPLETED" AND state != "FAILED" AND state != "CANCELLED"'


class GrpcAcquisitions:
    """Acquisitions behind a channel of `libs.rpc.client`, which raises AppError and bounds every call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.AcquisitionServiceStub(channel)
        self._facts: Batcher[pb.ReportLidarrFactRequest, tuple[str, ...]] = Batcher(
            self._tell, max_items=MAX_FACTS, max_waiting=MAX_WAITING
        )

    async def report(self, event_id: str, fact: LidarrFact) -> tuple[str, ...]:
        """Tell a fact; the same event counts once however often it is told. Returns the acquisitions it reached.

        Facts that are told at the same time share a call, in their order.
        """
        request = pb.ReportLidarrFactRequest(
            event_id=event_id,
            kind=_KINDS[fact.kind],
            lidarr_album_ids=fact.album_ids,
            release_group_mbids=fact.release_group_mbids,
            download_id=fact.download_id,
            download_client=fact.download_client,
        )
        return await self._facts.submit(request)

    async def aclose(self) -> None:
        """Takes no more facts, and returns when those it has are told."""
        await self._facts.aclose()

    async def newest(self) -> datetime | None:
        """When an active acquisition through Lidarr was made or changed last; None where there is none."""
        request = pb.ListAcquisitionsRequest(filter=_WAITING_FOR_LIDARR, order_by="update_time desc", page_size=1)
        found = (await self._stub.ListAcquisitions(request)).acquisitions
        return found[0].update_time.ToDatetime(UTC) if found else None

    async def news(self) -> AsyncIterator[str]:
        """Something of each active acquisition through Lidarr that is new whenever it is made or changes its state."""
        async for change in self._stub.WatchAcquisitions(pb.WatchAcquisitionsRequest(filter=_WAITING_FOR_LIDARR)):
            yield f"{change.acquisition.name} {change.acquisition.state}"

    async def _tell(self, facts: Sequence[pb.ReportLidarrFactRequest]) -> Sequence[tuple[str, ...] | AppError]:
        """One call for all; where one of them spoils it, a call for each."""
        if len(facts) == 1:
            return [await self._tell_alone(facts[0])]
        try:
            response = await self._stub.BatchReportLidarrFacts(pb.BatchReportLidarrFactsRequest(requests=facts))
        except _CALL_FAILED:
            raise
        except AppError:
            return [await self._tell_alone(fact) for fact in facts]
        return [tuple(each.acquisitions) for each in response.responses]

    async def _tell_alone(self, fact: pb.ReportLidarrFactRequest) -> tuple[str, ...] | AppError:
        try:
            return tuple((await self._stub.ReportLidarrFact(fact)).acquisitions)
        except AppError as error:
            return error


@asynccontextmanager
async def open_acquisitions(channel: grpc.aio.Channel) -> AsyncIterator[GrpcAcquisitions]:
    """The service behind a channel; at the end every fact that was taken is told."""
    async with channel:
        acquisitions = GrpcAcquisitions(channel)
        try:
            yield acquisitions
        finally:
            await acquisitions.aclose()
