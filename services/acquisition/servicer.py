"""AcquisitionService: translate, call, translate."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from libs.rpc import context as call
from services.acquisition import convert
from services.acquisition.domain.acquisitions import Acquisitions
from services.acquisition.domain.control import Control
from services.acquisition.domain.feed import Feed

Context = ServicerContext[Any, Any]


class AcquisitionServicer(rpc.AcquisitionServiceServicer):
    """The API of the acquisitions."""

    def __init__(self, acquisitions: Acquisitions, *, control: Control, feed: Feed) -> None:
        self._acquisitions = acquisitions
        self._control = control
        self._feed = feed

    async def CreateAcquisition(self, request: pb.CreateAcquisitionRequest, context: Context) -> pb.Acquisition:
        wish = convert.wish_from_pb(request, actor=call.principal.get().name)
        return convert.acquisition_to_pb(await self._acquisitions.create(wish))

    async def GetAcquisition(self, request: pb.GetAcquisitionRequest, context: Context) -> pb.Acquisition:
        return convert.acquisition_to_pb(await self._acquisitions.get(convert.id_from_name(request.name)))

    async def ListAcquisitions(
        self, request: pb.ListAcquisitionsRequest, context: Context
    ) -> pb.ListAcquisitionsResponse:
        page = await self._acquisitions.list(convert.query_from_pb(request))
        found = [convert.acquisition_to_pb(acquisition) for acquisition in page.acquisitions]
        return pb.ListAcquisitionsResponse(acquisitions=found, next_page_token=page.next_token)

    async def WatchAcquisitions(
        self, request: pb.WatchAcquisitionsRequest, context: Context
    ) -> AsyncIterator[pb.WatchAcquisitionsResponse]:
        async with aclosing(self._feed.follow(request.filter, request.resume_token)) as followed:
            async for acquisition, token in followed:
                shown = convert.acquisition_to_pb(acquisition)
                yield pb.WatchAcquisitionsResponse(acquisition=shown, resume_token=token)

    async def CancelAcquisition(self, request: pb.CancelAcquisitionRequest, context: Context) -> pb.Acquisition:
        stopped = await self._acquisitions.cancel(
            convert.id_from_name(request.name), etag=request.etag, actor=call.principal.get().name
        )
        return convert.acquisition_to_pb(stopped)

    async def RetryAcquisition(self, request: pb.RetryAcquisitionRequest, context: Context) -> pb.Acquisition:
        queued = await self._acquisitions.retry(
            convert.id_from_name(request.name), etag=request.etag, actor=call.principal.get().name
        )
        return convert.acquisition_to_pb(queued)

    async def UpdateAcquisition(self, request: pb.UpdateAcquisitionRequest, context: Context) -> pb.Acquisition:
        changed = await self._acquisitions.set_priority(
            convert.id_from_name(request.acquisition.name),
            convert.priority_from_pb(request),
            etag=request.acquisition.etag,
            actor=call.principal.get().name,
        )
        return convert.acquisition_to_pb(changed)

    async def PauseAcquisition(self, request: pb.PauseAcquisitionRequest, context: Context) -> pb.Acquisition:
        held = await self._acquisitions.set_paused(
            convert.id_from_name(request.name), True, etag=request.etag, actor=call.principal.get().name
        )
        return convert.acquisition_to_pb(held)

    async def ResumeAcquisition(self, request: pb.ResumeAcquisitionRequest, context: Context) -> pb.Acquisition:
        going = await self._acquisitions.set_paused(
            convert.id_from_name(request.name), False, etag=request.etag, actor=call.principal.get().name
        )
        return convert.acquisition_to_pb(going)

    async def PauseAcquisitions(self, request: pb.PauseAcquisitionsRequest, context: Context) -> pb.AcquisitionsStatus:
        actor = call.principal.get().name
        return convert.status_to_pb(await self._control.pause(reason=request.reason, actor=actor))

    async def ResumeAcquisitions(
        self, request: pb.ResumeAcquisitionsRequest, context: Context
    ) -> pb.AcquisitionsStatus:
        actor = call.principal.get().name
        return convert.status_to_pb(await self._control.resume(reason=request.reason, actor=actor))

    async def GetAcquisitionsStatus(
        self, request: pb.GetAcquisitionsStatusRequest, context: Context
    ) -> pb.AcquisitionsStatus:
        return convert.status_to_pb(await self._control.status())

    async def GetKillSwitch(self, request: pb.GetKillSwitchRequest, context: Context) -> pb.KillSwitch:
        return convert.kill_switch_to_pb(await self._control.switch())

    async def SetKillSwitch(self, request: pb.SetKillSwitchRequest, context: Context) -> pb.KillSwitch:
        switch = convert.switch_from_pb(request, actor=call.principal.get().name)
        return convert.kill_switch_to_pb(await self._control.put(switch, etag=request.etag))

    async def ReportLidarrFact(
        self, request: pb.ReportLidarrFactRequest, context: Context
    ) -> pb.ReportLidarrFactResponse:
        names = await self._acquisitions.report(convert.fact_from_pb(request))
        return pb.ReportLidarrFactResponse(acquisitions=names)

    async def BatchReportLidarrFacts(
        self, request: pb.BatchReportLidarrFactsRequest, context: Context
    ) -> pb.BatchReportLidarrFactsResponse:
        reached = await self._acquisitions.report_many([convert.fact_from_pb(each) for each in request.requests])
        responses = [pb.ReportLidarrFactResponse(acquisitions=names) for names in reached]
        return pb.BatchReportLidarrFactsResponse(responses=responses)
