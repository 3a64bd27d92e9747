"""Waits until the suite has registered its webhook, which it does by itself."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

NAME = "Lockgroove"
_PAUSE = 0.1  # seconds between two looks


class NotRegisteredError(Exception):
    """The suite did not register in time."""


async def registered(environment: Mapping[str, str], gateway: str, *, within: float = 60.0) -> None:
    """Return once the Lidarr of this environment delivers to the gateway; raises NotRegisteredError."""
    key = {"X-Api-Key": environment["LIDARR_API_KEY"]}
    url = f"{gateway.rstrip('/')}/api/webhooks/lidarr"
    async with httpx.AsyncClient(base_url=environment["LIDARR_URL"], headers=key, trust_env=False) as client:
        try:
            async with asyncio.timeout(within):
                while True:
                    entries = (await client.get("/api/v1/notification")).raise_for_status().json()
                    if any(_delivers(entry, url) for entry in entries):
                        return
                    await asyncio.sleep(_PAUSE)
        except TimeoutError as error:
            raise NotRegisteredError(f"after {within:.0f} s Lidarr does not know the webhook at {url}") from error


def _delivers(entry: Mapping[str, Any], url: str) -> bool:
    return entry["name"] == NAME and any(field.get("value") == url for field in entry["fields"])
