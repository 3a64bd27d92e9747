"""The acquisition service, as handlers of events need it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from services.webhooks.domain.lidarr import FactKind, LidarrFact

_KINDS = {
    FactKind.GRABBED: pb.ReportLidarrFactRequest.GRABBED,
    FactKind.IMPORTED: pb.ReportLidarrFactRequest.IMPORTED,
    FactKind.DOWNLOAD_FAILED: pb.ReportLidarrFactRequest.DOWNLOAD_FAILED,
    FactKind.IMPORT_FAILED: pb.ReportLidarrFactRequest.IMPORT_FAILED,
}
_WAITING_FOR_LIDARR = 'source = "LIDARR" AND state != "COMPLETED" AND state != "FAILED" AND state != "CANCELLED"'


class GrpcAcquisitions:
    """Acquisitions behind a channel of `libs.rpc.client`, which raises AppError and bounds every call."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = rpc.AcquisitionServiceStub(channel)

    async def report(self, event_id: str, fact: LidarrFact) -> tuple[str, ...]:
        """Tell a fact; the same event counts once however often it is told. Returns the acquisitions it reached."""
        request = pb.ReportLidarrFactRequest(
            event_id=event_id,
            kind=_KINDS[fact.kind],
            lidarr_album_ids=fact.album_ids,
            release_group_mbids=fact.release_group_mbids,
            download_id=fact.download_id,
            download_client=fact.download_client,
        )
        response = await self._stub.ReportLidarrFact(request)
        return tuple(response.acquisitions)

    async def newest(self) -> datetime | None:
        """When an active acquisition through Lidarr was made or changed last; None where there is none."""
        request = pb.ListAcquisitionsRequest(filter=_WAITING_FOR_LIDARR, order_by="update_time desc", page_size=1)
        found = (await self._stub.ListAcquisitions(request)).acquisitions
        return found[0].update_time.ToDatetime(UTC) if found else None

    async def news(self) -> AsyncIterator[str]:
        """Something of each active acquisition through Lidarr that is new whenever it is made or changes its state."""
        async for change in self._stub.WatchAcquisitions(pb.WatchAcquisitionsRequest(filter=_WAITING_FOR_LIDARR)):
            yield f"{change.acquisition.name} {change.acquisition.state}"
