"""CleanupService, answered in this process: what every service that has a database tells of its clean-up."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
from grpc.aio import ServicerContext
from lockgroove.api.v1 import cleanup_pb2 as told_pb
from lockgroove.api.v1 import cleanup_pb2_grpc as told_rpc
from lockgroove.gateway.v1 import cleanup_pb2 as pb
from lockgroove.gateway.v1 import cleanup_pb2_grpc as rpc

from libs.errors import AppError

SERVICE = pb.DESCRIPTOR.services_by_name["CleanupService"].full_name

Context = ServicerContext[Any, Any]
Ask = Callable[[Any], Awaitable[told_pb.CleanupReport]]


class CleanupServicer(rpc.CleanupServiceServicer):
    """Asks all services at once; `trusted` are channels to them that carry the suite's own credential."""

    def __init__(self, trusted: Mapping[str, grpc.aio.Channel]) -> None:
        self._stubs: Mapping[str, Any] = {
            name: told_rpc.CleanupServiceStub(channel) for name, channel in trusted.items()
        }

    async def GetCleanup(  # noqa: N802 - named in the proto
        self, request: pb.GetCleanupRequest, context: Context
    ) -> pb.Cleanup:
        """A service that cannot be asked has a problem, and the rest is there."""
        return await self._asked(lambda stub: stub.GetCleanupReport(told_pb.GetCleanupReportRequest()))

    async def RunCleanup(  # noqa: N802 - named in the proto
        self, request: pb.RunCleanupRequest, context: Context
    ) -> pb.Cleanup:
        """As `GetCleanup`, while the runs begin."""
        wanted = told_pb.RunCleanupRequest(dry_run=request.dry_run)
        answer = await self._asked(lambda stub: stub.RunCleanup(wanted))
        answer.dry_run = request.dry_run
        return answer

    async def _asked(self, ask: Ask) -> pb.Cleanup:
        reports = await asyncio.gather(*(_report(name, ask(stub)) for name, stub in self._stubs.items()))
        return pb.Cleanup(reports=reports)


async def _report(service: str, asked: Awaitable[told_pb.CleanupReport]) -> told_pb.CleanupReport:
    try:
        return await asked
    except AppError as error:
        return told_pb.CleanupReport(service=service, problem=error.code_reason)
