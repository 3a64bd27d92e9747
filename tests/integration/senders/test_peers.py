"""Peers that answer in ways that no answer is."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from deploy.demo.loopback_http import HOST, serving
from libs.clock import SystemClock
from libs.outbound.http import httpx
from services.webhooks.peers import Address, Peer, PeerRefused, PeerUnavailable


async def dribble(_request: Request) -> Response:
    async def spaces() -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await asyncio.sleep(0.01)

    return StreamingResponse(spaces())


async def elsewhere(_request: Request) -> Response:
    return RedirectResponse("/api/dribble")


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    app = Starlette(routes=[Route("/api/dribble", dribble), Route("/api/elsewhere", elsewhere)])
    async with serving(app) as port, httpx.AsyncClient(trust_env=False) as http:
        address = Address(url=f"http://{HOST}:{port}", api_key="key")
        yield Peer(http, name="Lidarr", prefix="/api", address=lambda: address, clock=SystemClock(), whole=0.2)


async def test_an_answer_that_never_ends_is_none(peer: Peer) -> None:
    with pytest.raises(PeerUnavailable, match="in time"):
        await peer.get("/dribble")


async def test_a_key_is_not_carried_elsewhere(peer: Peer) -> None:
    with pytest.raises(PeerRefused) as caught:
        await peer.get("/elsewhere")
    assert caught.value.status == 307
