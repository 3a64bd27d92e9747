"""The demo's view of the REST API: what any script could do with a key."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx

Acquisition = dict[str, Any]

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


class Api:
    """Asks for albums and follows them."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self._client = httpx.AsyncClient(base_url=url, headers={"X-Api-Key": key}, timeout=30, trust_env=False)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def ask(self, *, source: str, artist: str, title: str, mbid: str) -> Acquisition:
        """Ask for an album."""
        album = {"artist": artist, "title": title, "releaseGroupMbid": mbid}
        answer = await self._client.post("/api/v1/acquisitions", json={"album": album, "source": source})
        answer.raise_for_status()
        return dict(answer.json())

    async def read(self, name: str) -> Acquisition:
        """Read an acquisition."""
        answer = await self._client.get(f"/api/v1/{name}")
        answer.raise_for_status()
        return dict(answer.json())

    async def everything(self) -> list[Acquisition]:
        """All acquisitions, oldest first."""
        answer = await self._client.get("/api/v1/acquisitions", params={"pageSize": 1000, "orderBy": "create_time"})
        answer.raise_for_status()
        return list(answer.json()["acquisitions"])

    async def watch(self) -> AsyncIterator[Acquisition]:
        """Every change of every acquisition; goes on behind the last one when the stream breaks."""
        token = ""
        while True:
            with suppress(httpx.TransportError):
                async for message in self._messages(token):
                    token = message["resumeToken"]
                    yield message["acquisition"]
            await asyncio.sleep(0.2)

    async def _messages(self, token: str) -> AsyncIterator[dict[str, Any]]:
        request = self._client.stream(
            "GET", "/api/v1/acquisitions:watch", params={"resumeToken": token} if token else {}, timeout=None
        )
        async with request as answer:
            async for line in answer.aiter_lines():
                message = json.loads(line)
                if "acquisition" not in message:
                    return  # the stream says why it ends; the next one tells more
                yield message
