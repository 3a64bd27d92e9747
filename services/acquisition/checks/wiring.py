"""Checks, put together."""

from datetime import timedelta
from typing import Protocol

from lockgroove.acquisition.v1 import checks_pb2 as pb
from lockgroove.acquisition.v1 import checks_pb2_grpc as rpc

from libs.clock import Clock
from libs.leases.hold import LeaseStore, hold
from libs.leases.lease import Lease
from libs.rpc.server import Server
from services.acquisition.checks.folders import FolderCheck, look_at
from services.acquisition.checks.servicer import CheckServicer, Wanted
from services.acquisition.checks.soulseek import PAUSE, SoulseekCheck
from services.acquisition.soulseek.keeper import SessionKeeper

SERVICE = pb.DESCRIPTOR.services_by_name["CheckService"].full_name
TRIAL_TTL = timedelta(seconds=15)


class Leases(LeaseStore, Protocol):
    """Leases that can be looked at, too."""

    async def find(self, name: str) -> Lease | None:
        """The lease as it stands, free or not."""
        ...


def serve_checks(
    server: Server,
    keeper: SessionKeeper,
    *,
    leases: Leases,
    wanted: Wanted,
    clock: Clock,
    pause: timedelta = PAUSE,
) -> None:
    """Adds CheckService to a server."""
    soulseek = SoulseekCheck(
        keeper,
        lambda name: hold(leases, name, ttl=TRIAL_TTL, clock=clock),
        find=leases.find,
        clock=clock,
        pause=pause,
    )
    servicer = CheckServicer(FolderCheck(look_at), soulseek, wanted=wanted, session_age=lambda: keeper.session_age)
    server.add(servicer, rpc.add_CheckServiceServicer_to_server, SERVICE)
