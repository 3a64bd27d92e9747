"""Soulseek tried where the acquisition service has replicas, of which one keeps the session: calls go round."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest
from lockgroove.acquisition.v1 import checks_pb2 as pb
from lockgroove.acquisition.v1 import checks_pb2_grpc as rpc

from deploy.demo.loopback_http import HOST
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.server import Server
from services.config.domain.diagnoses import Diagnosis

from .conftest import Try

ACCOUNT = {"soulseek.server": "slsk.example:2416", "soulseek.username": "me", "soulseek.password": "mine"}
ELSEWHERE = pb.CheckSoulseekResponse.ELSEWHERE
Finding: TypeAlias = pb.CheckSoulseekResponse.Finding.ValueType


@dataclass
class Replicas(rpc.CheckServiceServicer):
    """What one replica after the other finds."""

    findings: list[Finding] = field(default_factory=list)

    async def CheckSoulseek(self, request: Any, context: Any) -> pb.CheckSoulseekResponse:
        return pb.CheckSoulseekResponse(finding=self.findings.pop(0))


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ([ELSEWHERE, pb.CheckSoulseekResponse.CONNECTED], Diagnosis.OK),
        ([ELSEWHERE, pb.CheckSoulseekResponse.BAD_PASSWORD], Diagnosis.UNAUTHORIZED),
        ([ELSEWHERE, ELSEWHERE], Diagnosis.OK),
    ],
)
async def test_who_keeps_the_session_is_asked_for_it(
    trying: Try, findings: Sequence[Finding], verdict: Diagnosis
) -> None:
    replicas = Replicas(list(findings))  # type: ignore[abstract] # the rest is never called
    server = Server(f"{HOST}:0", authenticator=KeyAuthenticator(["token"], lambda: []))
    service = pb.DESCRIPTOR.services_by_name["CheckService"].full_name
    server.add(replicas, rpc.add_CheckServiceServicer_to_server, service)

    async with server, open_channel(server.address, credential="token") as channel:
        test = await trying(ACCOUNT, acquisition=channel).test("soulseek", {})

    assert (test.verdict.diagnosis, replicas.findings) == (verdict, [])
