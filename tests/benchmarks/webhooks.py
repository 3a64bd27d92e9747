"""How many webhooks a second are acknowledged, each after its commit: shared commits beside one commit per event."""

import asyncio
import json
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from libs import ids
from libs.sql.engine import open_database
from libs.sql.migrations import migrate
from libs.sql.paging import PageTokens
from libs.sql.url import database_url
from services.webhooks import migrations
from services.webhooks.admission import open_admission
from services.webhooks.domain.event import NewEvent
from services.webhooks.events.store import SqlEventStore
from tests.support.lidarr_webhooks import download
from tests.support.suite import running_suite, suite_environment

_SENDERS = 64  # at once
_SECONDS = 5.0  # that each way is measured
_SECRET = "benchmark-secret"

Send = Callable[[], Awaitable[None]]


async def measure() -> str:
    """The table, on SQLite: the store alone in both ways, then the suite through REST."""
    single, shared = await _store_rates()
    rest = await _rest_rate()
    rows = [
        f"| {_SENDERS} senders at once | acknowledged a second | ratio |",
        "| --- | --- | --- |",
        f"| store, one commit per event | {single:.0f} | 1.0 |",
        f"| store, shared commits (what the service does) | {shared:.0f} | {shared / single:.1f} |",
        f"| `POST /api/webhooks/lidarr`, processing included | {rest:.0f} | {rest / single:.1f} |",
    ]
    return "\n".join(rows) + "\n"


async def _store_rates() -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as home:
        url = database_url(home=Path(home), service="webhooks", configured=None)
        async with open_database(url, schema="webhooks") as database:
            await migrate(database, package=migrations.__name__, head=migrations.HEAD)
            store = SqlEventStore(database, PageTokens(b"benchmark"))
            single = await _rate([lambda: _alone(store)] * _SENDERS)
            async with open_admission(store, committed=lambda _size: None) as admission:
                shared = await _rate([lambda: _discard(admission.submit(_event()))] * _SENDERS)
    return single, shared


async def _alone(store: SqlEventStore) -> None:
    await store.add([_event()])


async def _discard(answer: Awaitable[object]) -> None:
    await answer


def _event() -> NewEvent:
    body = _body()
    return NewEvent(
        id=ids.new("evt"),
        source="lidarr",
        type="Download",
        key=uuid.uuid4().hex,
        headers={"content-type": "application/json"},
        body=body,
        received_at=datetime.now(UTC),
    )


def _body() -> bytes:
    return json.dumps(download(downloadId=uuid.uuid4().hex)).encode()


async def _rest_rate() -> float:
    with tempfile.TemporaryDirectory() as home:
        environment = suite_environment(Path(home), {"LIDARR_WEBHOOK_SECRET": _SECRET})
        async with running_suite(environment) as suite:
            where = urlsplit(suite.url)
            clients = [_Client(*await asyncio.open_connection(where.hostname, where.port)) for _ in range(_SENDERS)]
            try:
                return await _rate([client.deliver for client in clients])
            finally:
                for client in clients:
                    client.close()


class _Client:
    """One kept connection; as little as possible around the bytes, for it shares the processors with the suite."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def deliver(self) -> None:
        """Deliver one event; raises AssertionError when it is not acknowledged."""
        body = _body()
        head = f"POST /api/webhooks/lidarr HTTP/1.1\r\nhost: x\r\nx-webhook-secret: {_SECRET}\r\n"
        self._writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self._reader.readuntil(b"}")
        assert answer.startswith(b"HTTP/1.1 202 "), answer

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def _rate(senders: list[Send]) -> float:
    """Acknowledgements a second, of senders that each send again as soon as they are answered."""
    end = time.monotonic() + _SECONDS

    async def repeat(send: Send) -> int:
        count = 0
        while time.monotonic() < end:
            await send()
            count += 1
        return count

    begun = time.monotonic()
    counts = await asyncio.gather(*map(repeat, senders))
    return sum(counts) / (time.monotonic() - begun)
