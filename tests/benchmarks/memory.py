"""Whether the webhooks service stays as small as it was: its resident memory while 200,000 events pass through it."""

import asyncio
import json
import sys
import tempfile
import uuid
from pathlib import Path

import psutil
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

import tests.support.grpc_without_fork  # noqa: F401 (before grpc)
from libs.rpc.client import open_channel
from tests.chaos.campaign import environment_of
from tests.chaos.senders import SECRET
from tests.support.lidarr_webhooks import download, event
from tests.support.waiting import eventually
from tests.support.webhook_peers import SERVICE_TOKEN, running_peers

EVENTS = 200_000
SAMPLES = 10
_BATCH = 256
_EFFECTS = 16  # of a batch that are told to acquisitions; the rest is kept and ignored


async def measure(events: int = EVENTS) -> str:
    """The table, on SQLite."""
    with tempfile.TemporaryDirectory() as home:
        async with running_peers(SECRET) as peers:
            environment = environment_of(Path(home), peers)
            with (Path(home) / "log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "services.webhooks"), env=environment, stdout=log, stderr=log
                )
            try:
                samples = await _samples(environment["LOCKGROOVE_WEBHOOKS_LISTEN"], process.pid, events)
            finally:
                process.terminate()
                await process.wait()
    head = "| events |" + "".join(f" {count} |" for count, _ in samples)
    row = "| resident, MB |" + "".join(f" {size:.0f} |" for _, size in samples)
    return "\n".join([head, "|" + " --- |" * (len(samples) + 1), row, ""])


async def _samples(address: str, pid: int, events: int) -> list[tuple[int, float]]:
    """How many had been acknowledged, and megabytes then."""
    process = psutil.Process(pid)
    found: list[tuple[int, float]] = []
    async with open_channel(address, credential=SERVICE_TOKEN) as channel:
        stub = rpc.WebhooksServiceStub(channel)

        async def ready() -> bool:
            request = pb.VerifySourceRequest(source="lidarr")
            return (await stub.VerifySource(request, wait_for_ready=True, timeout=60)).ready

        await eventually(ready, within=60)
        sent = 0
        for sample in range(1, SAMPLES + 1):
            while sent < events * sample // SAMPLES:
                response = await stub.IngestDeliveries(pb.IngestDeliveriesRequest(deliveries=_deliveries()), timeout=60)
                assert all(outcome.status.code == 0 for outcome in response.outcomes)
                sent += len(response.outcomes)
            found.append((sent, process.memory_info().rss / 1e6))
            print(sent, f"{found[-1][1]:.1f} MB", file=sys.stderr, flush=True)  # noqa: T201 (how it goes)
    return found


def _deliveries() -> list[pb.Delivery]:
    bodies = [download(downloadId=uuid.uuid4().hex) for _ in range(_EFFECTS)]
    bodies += [event("Health", message=uuid.uuid4().hex) for _ in range(_BATCH - _EFFECTS)]
    now = Timestamp()
    now.GetCurrentTime()
    headers = [pb.Header(name="content-type", value="application/json")]
    headers.append(pb.Header(name="x-webhook-secret", value=SECRET))
    return [
        pb.Delivery(
            source="lidarr",
            headers=headers,
            body=json.dumps(body).encode(),
            receive_time=now,
            remote_address="127.0.0.1",
        )
        for body in bodies
    ]
