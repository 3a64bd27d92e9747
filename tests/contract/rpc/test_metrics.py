"""What a server counts."""

import asyncio
from typing import Any

import pytest
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import AppError, NotFound
from libs.telemetry import Telemetry
from tests.contract.rpc.conftest import Config, Net

REQUEST = pb.GetSettingsRequest()
METHOD = "lockgroove.config.v1.ConfigService/GetSettings"


def count(telemetry: Telemetry, code: str) -> float | None:
    labels = {"method": METHOD, "code": code}
    return telemetry.metrics.registry.get_sample_value("lockgroove_rpc_requests_total", labels)


@pytest.mark.parametrize(
    ("error", "code"), [(None, "OK"), (NotFound("no"), "NOT_FOUND"), (KeyError("defect"), "INTERNAL")]
)
async def test_every_call_counts_once_by_its_code(net: Net, error: Exception | None, code: str) -> None:
    async def get(request: Any) -> pb.Settings:
        if error:
            raise error
        return pb.Settings()

    telemetry = Telemetry("config")
    stub = await net.stub(Config(get=get), telemetry=telemetry)
    for _ in range(3):
        try:
            await stub.GetSettings(REQUEST)
        except AppError:
            continue

    assert count(telemetry, code) == 3
    duration = telemetry.metrics.registry.get_sample_value("lockgroove_rpc_duration_seconds_count", {"method": METHOD})
    assert duration == 3


async def test_a_call_that_the_client_gives_up_counts_as_cancelled(net: Net) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def get(request: Any) -> pb.Settings:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    telemetry = Telemetry("config")
    stub = await net.stub(Config(get=get), telemetry=telemetry)
    call = asyncio.ensure_future(stub.GetSettings(REQUEST))
    await entered.wait()
    call.cancel()
    await left.wait()

    assert count(telemetry, "CANCELLED") == 1


async def test_health_checks_are_not_counted(net: Net) -> None:
    telemetry = Telemetry("config")
    stub = await net.stub(Config(), telemetry=telemetry)  # whose channel checks health
    await stub.GetSettings(REQUEST)

    assert b"grpc.health" not in telemetry.metrics.render()
