"""Lets a Lidarr tell the suite what happens: registers the suite's webhook, once."""

from collections.abc import Mapping

import httpx

NAME = "Lockgroove"
_SWITCHES = ("onGrab", "onReleaseImport", "onUpgrade", "onDownloadFailure", "onImportFailure")


async def register_webhook(environment: Mapping[str, str], gateway: str) -> None:
    """Register `gateway/api/webhooks/lidarr` with the Lidarr of this environment, or bring its registration up to date.

    The suite must be up, for Lidarr sends a Test at once. Raises httpx.HTTPStatusError if Lidarr refuses.
    """
    fields = {
        "url": f"{gateway.rstrip('/')}/api/webhooks/lidarr",
        "method": 1,
        "headers": [{"key": "X-Webhook-Secret", "value": environment["LIDARR_WEBHOOK_SECRET"]}],
    }
    webhook = {
        "name": NAME,
        "implementation": "Webhook",
        "configContract": "WebhookSettings",
        "tags": [],
        "fields": [{"name": name, "value": value} for name, value in fields.items()],
    } | dict.fromkeys(_SWITCHES, True)
    key = {"X-Api-Key": environment["LIDARR_API_KEY"]}
    async with httpx.AsyncClient(base_url=environment["LIDARR_URL"], headers=key, trust_env=False) as client:
        known = (await client.get("/api/v1/notification")).raise_for_status().json()
        own = next((row["id"] for row in known if row["name"] == NAME), None)
        if own is None:
            answer = await client.post("/api/v1/notification", json=webhook)
        else:
            answer = await client.put(f"/api/v1/notification/{own}", json=webhook | {"id": own})
        answer.raise_for_status()
