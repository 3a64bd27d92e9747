"""Facts that are told at the same time share a call; one that spoils it is refused alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.errors import InvalidArgument, Unavailable, Unimplemented
from libs.rpc.client import open_channel
from services.webhooks.acquisition import GrpcAcquisitions
from services.webhooks.domain.lidarr import FactKind, LidarrFact
from tests.support.webhook_peers import ACQUISITION, SERVICE_TOKEN, Peers, running_peers

FACT = LidarrFact(kind=FactKind.GRABBED, album_ids=(7,))


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    async with running_peers() as peers:
        yield peers


@pytest.fixture
async def acquisitions(peers: Peers) -> AsyncIterator[GrpcAcquisitions]:
    async with open_channel(peers.acquisition_address, credential=SERVICE_TOKEN) as channel:
        acquisitions = GrpcAcquisitions(channel)
        yield acquisitions
        await acquisitions.aclose()


def broken(number: int) -> LidarrFact:
    """The acquisition service takes no client's name that is so long."""
    return LidarrFact(kind=FactKind.GRABBED, album_ids=(number,), download_client="x" * 1000)


async def test_facts_that_are_told_at_once_share_calls(peers: Peers, acquisitions: GrpcAcquisitions) -> None:
    reached = await asyncio.gather(*[acquisitions.report(f"evt-{number}", FACT) for number in range(64)])

    assert reached == [(ACQUISITION,)] * 64
    assert list(peers.acquisitions.facts) == [f"evt-{number}" for number in range(64)]
    assert peers.acquisitions.batches == [64]


async def test_a_fact_that_is_refused_spoils_no_other(peers: Peers, acquisitions: GrpcAcquisitions) -> None:
    told = [acquisitions.report(f"evt-{n}", broken(n) if n == 2 else FACT) for n in range(4)]

    reached = await asyncio.gather(*told, return_exceptions=True)

    assert isinstance(reached.pop(2), InvalidArgument)
    assert reached == [(ACQUISITION,)] * 3


async def test_an_acquisition_service_of_an_older_version_is_told_one_by_one(
    peers: Peers, acquisitions: GrpcAcquisitions
) -> None:
    peers.acquisitions.batch_answer = Unimplemented("no such method")

    reached = await asyncio.gather(*[acquisitions.report(f"evt-{number}", FACT) for number in range(3)])

    assert reached == [(ACQUISITION,)] * 3


async def test_while_the_service_is_away_nobody_is_asked_one_by_one(
    peers: Peers, acquisitions: GrpcAcquisitions
) -> None:
    peers.acquisitions.batch_answer = Unavailable("away")

    reached = await asyncio.gather(
        *[acquisitions.report(f"evt-{number}", FACT) for number in range(3)], return_exceptions=True
    )

    assert all(isinstance(error, Unavailable) for error in reached)
    assert peers.acquisitions.calls == 0
