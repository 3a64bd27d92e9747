"""What a suite goes through in a lively minute: albums, deliveries good and bad, wrong keys, leases, searches."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from deploy.demo.albums import Album
from deploy.demo.world import World
from tests.support.suite import Suite

WRONG = 40  # more than the alerts bear


async def lively(suite: Suite, world: World) -> None:
    """All of it."""
    await asyncio.gather(_albums(suite, world), _deliveries(suite), _callers(suite), _leases(suite))
    await _after(suite)


async def _albums(suite: Suite, world: World) -> None:
    albums = world.albums
    wanted = ((albums.by_soulseek, "SOULSEEK"), (albums.by_lidarr, "LIDARR"), (albums.ten_times, "SOULSEEK"))
    names = [(await suite.request(source=source, album=_album(album)))["name"] for album, source in wanted]
    for name in names:
        assert (await suite.ended(name))["state"] == "COMPLETED"
    await suite.client.post("/api/v1/batches", json={"albums": [{"album": _album(albums.ten_times)}]})


async def restless(suite: Suite) -> None:
    """A little of it without end, so that counters grow between any two looks, however busy the machine is."""
    for number in itertools.count():
        await suite.client.post("/api/v1/searches", json={"query": f"something new {number}"})
        for _ in range(3):
            await suite.client.get("/api/v1/events", headers={"X-Api-Key": "lg_nobody"})
            await _deliver(suite, secret="wrong", body={"eventType": "Test"})
        await asyncio.sleep(1)


def _album(album: Album) -> Mapping[str, str]:
    return {"artist": album.artist, "title": album.title, "releaseGroupMbid": album.mbid}


async def _deliveries(suite: Suite) -> None:
    secret = suite.environment["LIDARR_WEBHOOK_SECRET"]
    for number in range(WRONG):
        await _deliver(suite, secret="wrong", body={"eventType": "Test"})
        await _deliver(suite, secret=secret, body={"eventType": "Test", "instanceName": f"n{number}"})
        await asyncio.sleep(0.2)


async def _deliver(suite: Suite, *, secret: str, body: Mapping[str, Any]) -> None:
    await suite.client.post("/api/webhooks/lidarr", json=body, headers={"X-Webhook-Secret": secret})


async def _callers(suite: Suite) -> None:
    for _ in range(WRONG + 10):
        await suite.client.get("/api/v1/events", headers={"X-Api-Key": "lg_nobody"})
        for path in ("acquisitions", "events", "settings", "keys", "acquisitions/nothing"):
            await suite.client.get(f"/api/v1/{path}")
        await asyncio.sleep(0.1)


async def _leases(suite: Suite) -> None:
    for _ in range(8):
        asked = {"lease": "ops", "holder": str(uuid4()), "ttl": "2s", "wait": "3s"}
        answer = await suite.client.post("/api/v1/leases:acquire", json=asked)
        assert answer.status_code == 200, answer.text


async def _after(suite: Suite) -> None:
    answer = await suite.client.post("/api/v1/replays", json={"filter": 'source="lidarr"', "force": True})
    assert answer.status_code in (200, 400), answer.text
