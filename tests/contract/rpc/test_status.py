"""A service tells over the wire how it is: from what it saw last, however its dependencies do."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from lockgroove.api.v1 import status_pb2 as pb
from lockgroove.api.v1 import status_pb2_grpc as rpc

from libs.clock import SystemClock
from libs.errors import PermissionDenied, Unauthenticated
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.components import Finding
from libs.rpc.server import Server
from libs.rpc.status import Queue, StatusServicer, Volume
from libs.sql.engine import open_database
from libs.telemetry.metrics import Metrics
from tests.support.waiting import eventually

TOKEN = "lgs_a-token-for-tests"


async def queues() -> Sequence[Queue]:
    return [Queue.of("jobs", {"QUEUED": (2, timedelta(seconds=5)), "RUNNING": (1, timedelta(seconds=9))})]


async def volumes() -> Sequence[Volume]:
    return [Volume(name="music", free=1, total=2, writable=True)]


async def hangs() -> Finding:
    await asyncio.Event().wait()
    raise AssertionError


async def test_it_tells_components_queues_and_volumes_at_once_while_a_probe_hangs(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/a.db", schema="a") as database:
        status = StatusServicer(database, metrics=Metrics(), clock=SystemClock(), queues=[queues], volumes=volumes)
        status.components.add("slow", hangs)
        server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([TOKEN], lambda: []))
        status.serve(server)
        looking = asyncio.create_task(status.run())
        async with server, open_channel(server.address, credential=TOKEN) as channel:
            stub = rpc.StatusServiceStub(channel)

            async def seen() -> pb.ServiceStatus | None:
                told: pb.ServiceStatus = await stub.GetServiceStatus(pb.GetServiceStatusRequest())
                has_looked = told.components[0].HasField("check_time")
                return told if has_looked and told.queues and told.volumes else None

            told = await eventually(seen)
        looking.cancel()

    assert [(each.component, each.state, each.critical) for each in told.components] == [
        ("database", pb.ServiceStatus.Component.UP, True),
        ("slow", pb.ServiceStatus.Component.UNKNOWN, False),
    ]
    assert (dict(told.queues[0].depths), told.queues[0].oldest_age.seconds) == ({"QUEUED": 2, "RUNNING": 1}, 9)
    assert told.volumes[0] == pb.ServiceStatus.Volume(volume="music", free_bytes=1, total_bytes=2, writable=True)
    assert told.version


async def test_only_the_suite_may_ask(tmp_path: Path) -> None:
    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/a.db", schema="a") as database:
        server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([TOKEN], lambda: []))
        StatusServicer(database, metrics=Metrics(), clock=SystemClock()).serve(server)
        async with server, open_channel(server.address, credential="lg_somebody") as channel:
            with pytest.raises((Unauthenticated, PermissionDenied)):
                await rpc.StatusServiceStub(channel).GetServiceStatus(pb.GetServiceStatusRequest())


async def test_a_reading_with_a_defect_ends_neither_the_others_nor_the_service(tmp_path: Path) -> None:
    async def broken() -> Sequence[Queue]:
        raise ValueError("a state of a newer version")

    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/a.db", schema="a") as database:
        status = StatusServicer(database, metrics=Metrics(), clock=SystemClock(), queues=[broken, queues])
        await status.run_once()
        told = await status.GetServiceStatus(pb.GetServiceStatusRequest(), None)  # type: ignore[arg-type] # not read

    assert [each.queue for each in told.queues] == ["jobs"]


async def test_readings_leave_the_connections_of_the_database_to_others(tmp_path: Path) -> None:
    reading, most = 0, 0

    async def slow() -> Sequence[Queue]:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        for _ in range(9):
            await asyncio.sleep(0)
        reading -= 1
        return []

    async with open_database(f"sqlite+aiosqlite:///{tmp_path}/a.db", schema="a") as database:
        await StatusServicer(database, metrics=Metrics(), clock=SystemClock(), queues=[slow] * 4).run_once()

    assert most == 1
