"""Checks, put together."""

from datetime import timedelta

from lockgroove.acquisition.v1 import checks_pb2 as pb
from lockgroove.acquisition.v1 import checks_pb2_grpc as rpc

from libs.clock import Clock
from libs.leases.hold import LeaseStore, hold
from libs.rpc.server import Server
from services.acquisition.checks.folders import FolderCheck, look_at
from services.acquisition.checks.servicer import CheckServicer, Wanted
from services.acquisition.checks.soulseek import PAUSE, SoulseekCheck
from services.acquisition.soulseek.keeper import SessionKeeper

SERVICE = pb.DESCRIPTOR.services_by_name["CheckService"].full_name
TRIAL_TTL = timedelta(seconds=15)


def serve_checks(
    server: Server,
    keeper: SessionKeeper,
    *,
    leases: LeaseStore,
    wanted: Wanted,
    clock: Clock,
    pause: timedelta = PAUSE,
) -> None:
    """Adds CheckService to a server."""
    soulseek = SoulseekCheck(
        keeper, lambda name: hold(leases, name, ttl=TRIAL_TTL, clock=clock), clock=clock, pause=pause
    )
    servicer = CheckServicer(FolderCheck(look_at), soulseek, wanted=wanted, session_age=lambda: keeper.session_age)
    server.add(servicer, rpc.add_CheckServiceServicer_to_server, SERVICE)
