"""SIGKILL at random moments under load: what was answered is stored once and takes effect."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from libs.errors import AppError
from libs.rpc.client import open_channel
from tests.integration.webhooks.conftest import delivery, ready, settings_in
from tests.support.lidarr_webhooks import album, download
from tests.support.waiting import eventually
from tests.support.webhook_peers import ROOT_KEY, SERVICE_TOKEN, Peers

KILLS = 8
SENDERS = 6
BATCH = 5


class Load:
    """Senders that deliver on and on, and repeat what was not answered, as the gateway's own retries do."""

    def __init__(self, stub: rpc.WebhooksServiceStub) -> None:
        self._stub = stub
        self._next_album = 0
        self.answered: dict[int, str] = {}
        self.repeated = 0

    async def send(self) -> None:
        """Deliver until cancelled."""
        while True:
            albums = range(self._next_album + 1, self._next_album + BATCH + 1)
            self._next_album += BATCH
            deliveries = [delivery(download(album=album(number))) for number in albums]
            while not await self._answered(list(albums), deliveries):
                self.repeated += 1
                await asyncio.sleep(0.02)

    async def progress(self) -> None:
        """Return once something more was answered."""
        before = len(self.answered)

        async def more() -> bool:
            return len(self.answered) > before

        await eventually(more, within=60)

    async def _answered(self, albums: list[int], deliveries: list[pb.Delivery]) -> bool:
        try:
            request = pb.IngestDeliveriesRequest(deliveries=deliveries)
            response = await self._stub.IngestDeliveries(request, timeout=5)
        except AppError:
            return False
        for number, outcome in zip(albums, response.outcomes, strict=True):
            if outcome.status.code == 0:
                self.answered[number] = outcome.event_id
        return all(outcome.status.code == 0 for outcome in response.outcomes)


@asynccontextmanager
async def process(environment: dict[str, str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("ab") as output:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.webhooks", env=environment, stdout=output, stderr=output
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


@pytest.mark.timeout(240)
async def test_what_was_answered_is_stored_once_and_done_whatever_was_killed(tmp_path: Path, peers: Peers) -> None:
    settings = settings_in(tmp_path, peers)
    environment = {
        **os.environ,
        "LOCKGROOVE_HOME": str(tmp_path),
        "LOCKGROOVE_SECRET_KEY": ROOT_KEY,
        "LOCKGROOVE_WEBHOOKS_LISTEN": settings.listen,
        "LOCKGROOVE_ACQUISITION_LISTEN": settings.acquisition,
        "LOCKGROOVE_CONFIG_LISTEN": settings.config,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    moments = random.Random(20261122)
    kills = 0
    async with open_channel(settings.listen, credential=SERVICE_TOKEN) as channel:
        stub = rpc.WebhooksServiceStub(channel)
        load = Load(stub)
        async with asyncio.TaskGroup() as group:
            senders = [group.create_task(load.send()) for _ in range(SENDERS)]
            for _ in range(KILLS):
                async with process(environment, tmp_path / "log") as child:
                    await load.progress()
                    await asyncio.sleep(moments.uniform(0, 0.3))  # the moment of the kill, not a wait for anything
                    child.kill()
                    kills += await child.wait() == -9
            for sender in senders:
                sender.cancel()
        async with process(environment, tmp_path / "log"):
            await ready(stub)
            events = await eventually(lambda: all_done(stub), within=90)

    assert kills == KILLS
    assert load.repeated > 0
    assert len(set(load.answered.values())) == len(load.answered) > KILLS
    assert set(load.answered.values()) <= events.keys()
    assert set(load.answered.values()) <= peers.acquisitions.facts.keys()
    albums = [list(fact.lidarr_album_ids) for fact in peers.acquisitions.facts.values()]
    assert len(albums) == len({tuple(ids) for ids in albums})


async def all_done(stub: rpc.WebhooksServiceStub) -> dict[str, pb.Event] | None:
    """All events by id once each is DONE."""
    events: dict[str, pb.Event] = {}
    token = ""
    while True:
        page = await stub.ListEvents(pb.ListEventsRequest(page_size=1000, page_token=token))
        events |= {event.name.removeprefix("events/"): event for event in page.events}
        token = page.next_page_token
        if not token:
            break
    return events if all(event.state == pb.Event.DONE for event in events.values()) else None
