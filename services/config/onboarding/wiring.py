"""The onboarding, put together."""

from dataclasses import dataclass
from uuid import uuid4

from lockgroove.config.v1 import onboarding_pb2 as pb
from lockgroove.config.v1 import onboarding_pb2_grpc as rpc

from libs.rpc.server import Server
from libs.service import Loop
from services.config.ground import Ground
from services.config.onboarding.servicer import OnboardingServicer
from services.config.onboarding.steps import Steps, Test
from services.config.onboarding.store import SqlOnboarding
from services.config.onboarding.worker import OnboardingWorker

SERVICE = pb.DESCRIPTOR.services_by_name["OnboardingService"].full_name


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingSlice:
    """The API of the onboarding and the loop that does it."""

    servicer: OnboardingServicer
    worker: OnboardingWorker

    def serve(self, server: Server) -> None:
        """Adds OnboardingService to a server."""
        server.add(self.servicer, rpc.add_OnboardingServiceServicer_to_server, SERVICE)

    @property
    def loops(self) -> list[Loop]:
        """What runs beside the server."""
        return [self.worker.run]


def make_onboarding(ground: Ground, *, test: Test) -> OnboardingSlice:
    """Wires the slice; `test` tries a connection with the settings in force."""
    store = SqlOnboarding(ground.database)
    steps = Steps(test, acquisition=ground.acquisition, webhooks=ground.webhooks, clock=ground.clock)
    worker = OnboardingWorker(store, steps, clock=ground.clock)
    servicer = OnboardingServicer(store, worker, clock=ground.clock, new_request_id=lambda: str(uuid4()))
    return OnboardingSlice(servicer=servicer, worker=worker)
