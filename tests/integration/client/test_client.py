"""The client beside a real server that can be taken away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as config

from libs.client import Addresses, Client, follow, items, open_client, pages
from libs.errors import DeadlineExceeded, NotFound, Unauthenticated, Unavailable
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from tests.support.ports import free_ports

KEY = "lg_of-the-client"
SLOW = "acquisitions/slow"
ENDLESS = 'title = "Without End"'
STEPS = 6
LISTED = 5


class Acquisitions(rpc.AcquisitionServiceServicer):
    """Lists five acquisitions in pages of two, and streams six steps, of which each server tells three."""

    def __init__(self) -> None:
        self.request_ids: list[str] = []
        self.asked: list[str] = []
        self.left = asyncio.Event()

    async def CreateAcquisition(self, request: Any, context: Any) -> pb.Acquisition:
        self.request_ids.append(request.request_id)
        return pb.Acquisition(name="acquisitions/made")

    async def GetAcquisition(self, request: Any, context: Any) -> pb.Acquisition:
        if request.name == SLOW:
            await asyncio.Event().wait()
        raise NotFound("there is no such acquisition")

    async def ListAcquisitions(self, request: Any, context: Any) -> pb.ListAcquisitionsResponse:
        first = int(request.page_token or 0)
        last = min(first + 2, LISTED)
        found = [pb.Acquisition(name=f"acquisitions/a{number}") for number in range(first, last)]
        return pb.ListAcquisitionsResponse(acquisitions=found, next_page_token=str(last) if last < LISTED else "")

    async def WatchAcquisitions(self, request: Any, context: Any) -> AsyncIterator[pb.WatchAcquisitionsResponse]:
        self.asked.append(request.resume_token)
        first = int(request.resume_token or 0)
        for step in range(first + 1, min(first + 3, STEPS) + 1):
            yield pb.WatchAcquisitionsResponse(resume_token=str(step))
        if request.filter == ENDLESS:
            try:
                await asyncio.Event().wait()
            finally:
                self.left.set()
        if first + 3 < STEPS:
            raise Unavailable("the service is stopping")


Acquisitions.__abstractmethods__ = frozenset()  # the rest is not asked for


@pytest.fixture
def servicer() -> Acquisitions:
    return Acquisitions()  # type: ignore[abstract] # the rest is not asked for


@asynccontextmanager
async def _serving(listen: str, servicer: Acquisitions) -> AsyncIterator[Server]:
    key = config.ApiKey(title="tests", digest=sha256(KEY.encode()).digest(), scopes=[api.ADMIN])
    server = Server(listen, authenticator=KeyAuthenticator([], lambda: [key]))
    name = pb.DESCRIPTOR.services_by_name["AcquisitionService"].full_name
    async with server.add(servicer, rpc.add_AcquisitionServiceServicer_to_server, name):
        yield server


@pytest.fixture
async def client(servicer: Acquisitions) -> AsyncIterator[Client]:
    async with _serving("127.0.0.1:0", servicer) as server, _client(server.address) as client:
        yield client


def _client(address: str, key: str = KEY, **options: Any) -> Any:
    return open_client(key, Addresses(acquisition=address, webhooks=address, config=address), **options)


async def test_a_request_without_an_id_gets_one_and_stays_as_it_is(client: Client, servicer: Acquisitions) -> None:
    request = pb.CreateAcquisitionRequest(acquisition=pb.Acquisition(album=pb.Album(artist="A", title="T")))

    await client.acquisitions.CreateAcquisition(request)
    await client.acquisitions.CreateAcquisition(request)

    assert len({UUID(given) for given in servicer.request_ids}) == 2
    assert not request.request_id


async def test_an_id_that_was_given_is_kept(client: Client, servicer: Acquisitions) -> None:
    given = "6f0f3e0c-6b3b-4a55-9d7e-0f3a2b1c4d5e"
    wish = pb.Acquisition(album=pb.Album(artist="A", title="T"))

    await client.acquisitions.CreateAcquisition(pb.CreateAcquisitionRequest(acquisition=wish, request_id=given))

    assert servicer.request_ids == [given]


async def test_every_item_of_every_page_is_seen_once(client: Client) -> None:
    wanted = pb.ListAcquisitionsRequest(page_size=2)

    found = [each.name async for each in items(client.acquisitions.ListAcquisitions, wanted, lambda p: p.acquisitions)]
    sizes = [len(page.acquisitions) async for page in pages(client.acquisitions.ListAcquisitions, wanted)]

    assert found == [f"acquisitions/a{number}" for number in range(LISTED)]
    assert sizes == [2, 2, 1]


async def test_a_stream_goes_on_behind_its_last_message(client: Client, servicer: Acquisitions) -> None:
    watch = pb.WatchAcquisitionsRequest()

    told = [step.resume_token async for step in follow(client.acquisitions.WatchAcquisitions, watch)]

    assert told == [str(step) for step in range(1, STEPS + 1)]
    assert servicer.asked == ["", "3"]


async def test_who_leaves_a_stream_ends_its_call(client: Client, servicer: Acquisitions) -> None:
    async for _ in follow(client.acquisitions.WatchAcquisitions, pb.WatchAcquisitionsRequest(filter=ENDLESS)):
        break

    await asyncio.wait_for(servicer.left.wait(), 5)


async def test_a_service_that_stays_away_ends_patience() -> None:
    (port,) = free_ports(1)
    async with _client(f"127.0.0.1:{port}") as client:
        watch, patience = pb.WatchAcquisitionsRequest(), timedelta(seconds=0.2)
        with pytest.raises(Unavailable):
            await anext(follow(client.acquisitions.WatchAcquisitions, watch, patience=patience))


async def test_errors_arrive_as_what_they_are(client: Client) -> None:
    with pytest.raises(NotFound, match="no such acquisition"):
        await client.acquisitions.GetAcquisition(pb.GetAcquisitionRequest(name="acquisitions/a1"))


async def test_a_key_that_nobody_holds_is_refused(servicer: Acquisitions) -> None:
    async with _serving("127.0.0.1:0", servicer) as server, _client(server.address, "lg_wrong") as client:
        with pytest.raises(Unauthenticated):
            await client.acquisitions.ListAcquisitions(pb.ListAcquisitionsRequest())


async def test_a_call_ends_at_the_deadline_of_the_client(servicer: Acquisitions) -> None:
    brief = timedelta(seconds=0.2)
    async with _serving("127.0.0.1:0", servicer) as server, _client(server.address, timeout=brief) as client:
        with pytest.raises(DeadlineExceeded):
            await client.acquisitions.GetAcquisition(pb.GetAcquisitionRequest(name=SLOW))
