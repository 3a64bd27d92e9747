"""The pretended slskd's log of events, and its webhooks: each is tried once, and lost where nobody answers."""

import json
import ssl
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from libs.clock import Clock

TIMEOUT = 5.0  # seconds that slskd waits for an answer
SAMPLES = (
    *("DownloadFileComplete", "DownloadDirectoryComplete", "UploadFileComplete"),
    *("PrivateMessageReceived", "RoomMessageReceived", "Noop"),
)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One entry of slskd's configuration; `on` are names of events, or `Any`."""

    url: str
    on: tuple[str, ...] = ("Any",)
    headers: Mapping[str, str]

    def wants(self, kind: str) -> bool:
        """Whether it is told of this kind."""
        return any(name.lower() in ("any", kind.lower()) for name in self.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedEvent:
    """An event of the log; `data` has neither id nor type nor time."""

    id: str
    type: str
    timestamp: datetime
    data: Json

    def row(self) -> Json:
        """As `GET /events` tells it: the data is JSON within a string."""
        return {"id": self.id, "timestamp": _stamp(self.timestamp), "type": self.type, "data": json.dumps(self.data)}

    def told(self) -> Json:
        """As its webhook tells it."""
        return {**self.data, "id": self.id, "timestamp": _stamp(self.timestamp), "type": self.type, "version": 0}


class Events:
    """What happened, in order; `sent` holds the status of each webhook, 0 for no answer."""

    def __init__(self, clock: Clock) -> None:
        self.rows: list[LoggedEvent] = []
        self.webhooks: list[Webhook] = []
        self.sent: list[int] = []
        self._clock = clock
        no_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody, and is not slow to make
        self._client = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=no_tls)

    async def raise_event(self, kind: str, data: Json, *, at: datetime | None = None) -> LoggedEvent:
        """Write an event down, then tell it; `at` is for downloads, whose time is when they ended."""
        event = LoggedEvent(id=str(uuid.uuid4()), type=kind, timestamp=at or self._clock.now(), data=data)
        self.rows.append(event)
        for webhook in self.webhooks:
            if webhook.wants(kind):
                self.sent.append(await self._send(webhook, event))
        return event

    def page(self, offset: int, limit: int) -> list[Json]:
        """Some rows, the newest first."""
        newest = sorted(self.rows, key=lambda event: event.timestamp, reverse=True)
        return [event.row() for event in newest[offset : offset + limit]]

    async def close(self) -> None:
        """Close the connections to the receivers."""
        await self._client.aclose()

    async def _send(self, webhook: Webhook, event: LoggedEvent) -> int:
        try:
            return (await self._client.post(webhook.url, json=event.told(), headers=webhook.headers)).status_code
        except httpx.HTTPError:
            return 0


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
