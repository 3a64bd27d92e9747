"""Automations, put together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lockgroove.acquisition.v1.acquisition_pb2_grpc import AcquisitionServiceStub
from lockgroove.config.v1 import automations_pb2 as pb
from lockgroove.config.v1 import automations_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.service import Loop
from services.config.automations.acquisitions import AcquisitionSwitch, RetryUnavailable
from services.config.automations.actions import SqlActions
from services.config.automations.guard import Guard
from services.config.automations.metrics import AutomationMetrics
from services.config.automations.pauses import Refreshes, SqlPauses
from services.config.automations.runner import AutomationRunner
from services.config.automations.servicer import AutomationServicer
from services.config.automations.store import SqlAutomations
from services.config.domain.automations import RETRY_UNAVAILABLE, Doer
from services.config.domain.safety import Limits
from services.config.ground import Ground

SERVICE = pb.DESCRIPTOR.services_by_name["AutomationService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class AutomationSlice:
    """The API of automations, and the loop behind it."""

    servicer: AutomationServicer
    runner: AutomationRunner

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        return [self.runner.run]

    def serve(self, server: Server) -> None:
        """Adds AutomationService to a server."""
        server.add(self.servicer, rpc.add_AutomationServiceServicer_to_server, SERVICE)


async def make_automations(
    ground: Ground, *, settings: Callable[[], Mapping[str, str]], refreshes: Refreshes
) -> AutomationSlice:
    """Wires the slice, and makes automations that are not there yet, off. `settings` are those in force, by path.

    `refreshes` knows how refreshing users' tokens goes: who fails too often is paused.
    """
    acquisition = AcquisitionServiceStub(ground.acquisition)
    automations = SqlAutomations(ground.database)
    await automations.make()
    actions = SqlActions(ground.database, automations, tokens=ground.tokens)
    pauses = SqlPauses(ground.database, automations, refreshes=refreshes)
    guard = Guard(
        actions,
        pauses,
        switch=AcquisitionSwitch(acquisition),
        limits=lambda: Limits.from_texts(settings()),
    )
    doers: Mapping[str, Doer] = {RETRY_UNAVAILABLE.id: RetryUnavailable(acquisition)}
    metrics = AutomationMetrics(ground.telemetry.metrics)
    runner = AutomationRunner(automations, actions, guard, doers=doers, metrics=metrics)
    servicer = AutomationServicer(
        automations, actions, pauses, guard, doers=doers, tokens=ground.tokens, changed=runner.wake
    )
    return AutomationSlice(servicer=servicer, runner=runner)
