"""AutomationService: translate, call, translate."""

from collections.abc import Callable, Mapping
from typing import Any

from grpc.aio import ServicerContext
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import automations_pb2 as pb
from lockgroove.config.v1 import automations_pb2_grpc as rpc

from libs.errors import PermissionDenied
from libs.rpc import context as call
from libs.sql.paging import Order, PageTokens, SortKey
from services.config.automations import convert
from services.config.automations.actions import SqlActions
from services.config.automations.guard import Guard
from services.config.automations.pauses import SqlPauses
from services.config.automations.store import SqlAutomations
from services.config.domain.automations import MOST_OF_RUN, Doer
from services.config.tables import automation as table

Context = ServicerContext[Any, Any]

_BY_NAME = Order(keys=(SortKey(column=table.c.id, descending=False),))


class AutomationServicer(rpc.AutomationServiceServicer):
    """The API of automations. `changed` says that one may be due."""

    def __init__(
        self,
        automations: SqlAutomations,
        actions: SqlActions,
        pauses: SqlPauses,
        guard: Guard,
        *,
        doers: Mapping[str, Doer],
        tokens: PageTokens,
        changed: Callable[[], None],
    ) -> None:
        self._automations = automations
        self._actions = actions
        self._pauses = pauses
        self._guard = guard
        self._doers = doers
        self._tokens = tokens
        self._changed = changed

    async def GetSafetyStatus(self, request: pb.GetSafetyStatusRequest, context: Context) -> pb.SafetyStatus:
        return convert.status_to_pb(await self._guard.status(_whose(request.user_id)))

    async def CheckLimits(self, request: pb.CheckLimitsRequest, context: Context) -> pb.CheckLimitsResponse:
        return convert.verdict_to_pb(await self._guard.check(_whose(request.user_id), request.target))

    async def ResumeAutomations(self, request: pb.ResumeAutomationsRequest, context: Context) -> pb.SafetyStatus:
        user = _whose(request.user_id)
        await self._pauses.resume(user, actor=call.principal.get().name)
        return convert.status_to_pb(await self._guard.status(user))

    async def ListAutomations(self, request: pb.ListAutomationsRequest, context: Context) -> pb.ListAutomationsResponse:
        page = self._tokens.page(
            size=request.page_size, token=request.page_token, order=_BY_NAME, arguments=["automations"]
        )
        found, token = page.part(await self._automations.all(), lambda each: (each.kind.id,))
        switch = await self._guard.switch()
        shown = [convert.automation_to_pb(automation, switch) for automation in found]
        return pb.ListAutomationsResponse(automations=shown, next_page_token=token)

    async def GetAutomation(self, request: pb.GetAutomationRequest, context: Context) -> pb.Automation:
        found = await self._automations.get(convert.automation_id(request.name))
        return convert.automation_to_pb(found, await self._guard.switch())

    async def UpdateAutomation(self, request: pb.UpdateAutomationRequest, context: Context) -> pb.Automation:
        change = convert.change_from_pb(request, actor=call.principal.get().name)
        automation = convert.automation_id(request.automation.name, field="automation.name")
        changed = await self._automations.change(automation, change)
        self._changed()
        return convert.automation_to_pb(changed, await self._guard.switch())

    async def PreviewAutomation(
        self, request: pb.PreviewAutomationRequest, context: Context
    ) -> pb.PreviewAutomationResponse:
        automation = (await self._automations.get(convert.automation_id(request.name))).kind.id
        wishes = await self._doers[automation].candidates(MOST_OF_RUN)
        planned = await self._guard.preview(automation, wishes)
        return pb.PreviewAutomationResponse(actions=map(convert.action_to_pb, planned))

    async def ListAutomationActions(
        self, request: pb.ListAutomationActionsRequest, context: Context
    ) -> pb.ListAutomationActionsResponse:
        caller = call.principal.get()
        user = None if caller.may(api.ADMIN) else caller.name
        found, token = await self._actions.page(user, page_size=request.page_size, page_token=request.page_token)
        return pb.ListAutomationActionsResponse(actions=map(convert.action_to_pb, found), next_page_token=token)


def _whose(user: str) -> str:
    """The user that a request means; raises PermissionDenied where that is somebody else's affair."""
    caller = call.principal.get()
    if user and user != caller.name and not caller.may(api.ADMIN):
        raise PermissionDenied("the automations of others need the scope ADMIN", metadata={"user": user})
    return user or caller.name
