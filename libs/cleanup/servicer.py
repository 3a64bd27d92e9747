"""CleanupService of one service: translate, call, translate."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.api.v1 import cleanup_pb2 as pb
from lockgroove.api.v1 import cleanup_pb2_grpc as rpc

from libs.cleanup.report import Removal, Report
from libs.cleanup.worker import Daily
from libs.rpc.timestamps import timestamp

SERVICE = pb.DESCRIPTOR.services_by_name["CleanupService"].full_name

Context = ServicerContext[Any, Any]


class CleanupServicer(rpc.CleanupServiceServicer):
    """Tells of the clean-up of `service`; `is_running` says whether one is under way on any replica."""

    def __init__(self, service: str, daily: Daily, *, is_running: Callable[[], Awaitable[bool]]) -> None:
        self._service = service
        self._daily = daily
        self._is_running = is_running

    async def GetCleanupReport(  # noqa: N802 - named in the proto
        self, request: pb.GetCleanupReportRequest, context: Context
    ) -> pb.CleanupReport:
        """The last run, whoever made it."""
        return await self._report()

    async def RunCleanup(  # noqa: N802 - named in the proto
        self, request: pb.RunCleanupRequest, context: Context
    ) -> pb.CleanupReport:
        """What would be removed, or the last run while the next begins."""
        if request.dry_run:
            return pb.CleanupReport(service=self._service, removals=_to_pb(await self._daily.preview()))
        report = await self._report()
        await self._daily.begin()
        report.running = True
        return report

    async def _report(self) -> pb.CleanupReport:
        last = await self._daily.last()
        running, following = await self._is_running(), await self._daily.next()
        shown = report_to_pb(last) if last else pb.CleanupReport()
        shown.service, shown.running = self._service, running
        shown.next_run_time.FromDatetime(following)
        return shown


def report_to_pb(report: Report) -> pb.CleanupReport:
    """A run as callers see it."""
    return pb.CleanupReport(
        start_time=timestamp(report.started),
        end_time=timestamp(report.ended),
        holder=report.holder,
        removals=_to_pb(report.removals),
    )


def _to_pb(removals: Sequence[Removal]) -> list[pb.CleanupReport.Removal]:
    return [_removal(each) for each in removals]


def _removal(each: Removal) -> pb.CleanupReport.Removal:
    shown = pb.CleanupReport.Removal(kind=each.kind, count=each.count, rule=each.rule, problem=each.problem)
    shown.duration.FromTimedelta(timedelta(seconds=each.seconds))
    return shown
