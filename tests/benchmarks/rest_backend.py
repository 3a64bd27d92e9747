"""`python -m tests.benchmarks.rest_backend HOST:PORT`: a service of the suite, pipeline and all, without a database.

It answers for acquisitions, and as the config service for what a gateway follows.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any

from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import config_pb2_grpc as config_rpc

from libs.crypto import service_token
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.service import run
from tests.benchmarks.load import ALBUM, KEY

ROOT_KEY = "benchmark-root-key-0123456789-abcdef"

_UNLIMITED = config.GatewaySettings(
    requests_per_minute=1_000_000,
    requests_per_hour=10_000_000,
    request_burst=1_000_000,
    admin_factor=1000,
    concurrent_requests=100_000,
)
_API_KEY = config.ApiKey(title="benchmark", digest=sha256(KEY.encode()).digest(), scopes=[api.ADMIN])


def _acquisition() -> pb.Acquisition:
    """One that is under way: about 1 KB of JSON."""
    made = pb.Acquisition(state=pb.Acquisition.DOWNLOADING, source=pb.SOULSEEK, current_source=pb.SOULSEEK, etag='"42"')
    made.priority, made.requester = 5, "somebody"
    made.album.artist, made.album.title, made.album.year = str(ALBUM["artist"]), str(ALBUM["title"]), 1997
    made.album.release_group_mbid = str(ALBUM["releaseGroupMbid"])
    attempt = made.attempts.add(number=1, source=pb.SOULSEEK, peer="a-generous-peer", state=pb.Attempt.RUNNING)
    attempt.bytes, attempt.total_bytes = 123_456_789, 345_678_901
    attempt.peers.extend(["a-generous-peer", "another-peer"])
    attempt.score.update({"total": 87.5, "format": 30.0, "completeness": 40.0, "speed": 17.5})
    made.progress.received_bytes, made.progress.total_bytes, made.progress.total_count = 123_456_789, 345_678_901, 12
    for each in (made.create_time, made.update_time, attempt.start_time):
        each.FromJsonString("2026-11-22T10:20:30.123Z")
    return made


class _Acquisitions(rpc.AcquisitionServiceServicer):
    """Abstract in its stubs: what is not called here has no answer."""

    _kept = _acquisition()

    async def GetAcquisition(self, request: pb.GetAcquisitionRequest, context: Any) -> pb.Acquisition:
        answer = pb.Acquisition()
        answer.CopyFrom(self._kept)
        answer.name = request.name
        return answer

    async def CreateAcquisition(self, request: pb.CreateAcquisitionRequest, context: Any) -> pb.Acquisition:
        answer = pb.Acquisition()
        answer.CopyFrom(self._kept)
        answer.MergeFrom(request.acquisition)
        answer.name = "acquisitions/acq-1"
        return answer


class _Config(config_rpc.ConfigServiceServicer):
    async def WatchSnapshots(self, request: Any, context: Any) -> AsyncIterator[config.Snapshot]:
        yield config.Snapshot(revision=1, api_keys=[_API_KEY], settings=config.Settings(gateway=_UNLIMITED))
        await asyncio.Event().wait()


@asynccontextmanager
async def _open_app(listen: str) -> AsyncIterator[Server]:
    server = Server(listen, authenticator=KeyAuthenticator([service_token(ROOT_KEY.encode())], lambda: [_API_KEY]))
    acquisitions: Any = _Acquisitions  # its stubs want every method
    configuration: Any = _Config
    name = pb.DESCRIPTOR.services_by_name["AcquisitionService"].full_name
    server.add(acquisitions(), rpc.add_AcquisitionServiceServicer_to_server, name)
    name = config.DESCRIPTOR.services_by_name["ConfigService"].full_name
    server.add(configuration(), config_rpc.add_ConfigServiceServicer_to_server, name)
    yield server


if __name__ == "__main__":
    sys.exit(run(_open_app, sys.argv[1]))
