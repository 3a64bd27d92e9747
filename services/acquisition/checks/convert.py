"""Checks between their words and the protos."""

from datetime import timedelta

from lockgroove.acquisition.v1 import checks_pb2 as pb

from libs.errors import InvalidArgument
from services.acquisition.checks.folders import Look
from services.acquisition.checks.login import Login, Outcome

_LAST_PORT = 65_535


def login_from_pb(request: pb.CheckSoulseekRequest) -> Login:
    """What is tried; raises InvalidArgument."""
    host, _, port = request.server.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) <= _LAST_PORT):
        raise InvalidArgument.field("server", "expected host:port")
    return Login(host=host, port=int(port), username=request.username, password=request.password)


def outcome_to_pb(outcome: Outcome, age: timedelta | None) -> pb.CheckSoulseekResponse:
    """What came of it."""
    told = pb.CheckSoulseekResponse(
        finding=pb.CheckSoulseekResponse.Finding.Value(outcome.finding), message=outcome.message
    )
    if age is not None:
        told.session_age.FromTimedelta(age)
    return told


def looks_to_pb(looks: list[Look]) -> pb.CheckStorageResponse:
    """What was found of folders."""
    devices = {look.device for look in looks}
    return pb.CheckStorageResponse(
        folders=map(_folder_to_pb, looks), same_file_system=len(devices) == 1 and None not in devices
    )


def _folder_to_pb(look: Look) -> pb.CheckStorageResponse.Folder:
    return pb.CheckStorageResponse.Folder(
        setting=look.need.setting,
        path=str(look.need.path or ""),
        fault=pb.CheckStorageResponse.Folder.Fault.Value(look.fault),
        free_bytes=look.free_bytes,
        needed_bytes=look.need.free_bytes,
    )
