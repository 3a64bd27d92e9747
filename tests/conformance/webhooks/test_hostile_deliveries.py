"""Deliveries of those who do not mean well are kept as they came, on each database, and end as dead letters."""

import random

import pytest

from libs.clock import SystemClock
from libs.sql.engine import Database
from services.webhooks.admission import open_admission
from services.webhooks.domain.event import Receipt, State
from services.webhooks.domain.handling import Handling, LidarrHandler
from services.webhooks.domain.inbox import Inbox
from services.webhooks.domain.lidarr import LidarrFact
from services.webhooks.domain.processing import Claimed, Processing, Settled
from services.webhooks.events.store import SqlEventStore
from tests.support.event_store import OpenSources, QuietLog, always, open_event_store
from tests.support.lidarr_webhooks import delivery

_ODD = (("x-odd", "a\x00b\ud800c"), ("x-\x00", "d"))


class Nobody:
    """No acquisition waits for anything."""

    async def report(self, event_id: str, fact: LidarrFact) -> tuple[str, ...]:
        raise AssertionError(f"told of {fact}")


class Defects:
    """Remembers what broke."""

    def __init__(self) -> None:
        self.seen: list[BaseException] = []

    def settled(self, settled: Settled) -> None:
        pass

    def lost(self, settled: Settled) -> None:
        pass

    def broken(self, claimed: Claimed, error: BaseException) -> None:
        self.seen.append(error)


@pytest.fixture
async def store(database: Database) -> SqlEventStore:
    return await open_event_store(database)


async def _taken_in(store: SqlEventStore, body: bytes) -> str:
    async with open_admission(store, committed=lambda _size: None) as admission:
        inbox = Inbox(admission, OpenSources(), ready=always, log=QuietLog(), new_id=lambda: "evt-1")
        [receipt] = await inbox.ingest([delivery(body, headers=_ODD)])
    assert isinstance(receipt, Receipt)
    return receipt.event_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe",
        b"[" * 100_000,
        b'{"eventType": "a\\u0000b"}',
        b'{"eventType": "\\ud800"}',
        b'{"eventType": "Grab", "downloadId": "\\u0000"}',
        b'{"eventType": "DownloadFailure", "downloadId": "\\udfff"}',
        b'{"eventType": "DownloadFailure", "downloadId": "d", "downloadClient": "\\u0000"}',
        b'{"eventType": "Grab", "n": ' + b"9" * 10_000 + b"}",
    ],
)
async def test_a_hostile_delivery_is_kept_byte_for_byte_and_dead_lettered(store: SqlEventStore, body: bytes) -> None:
    event_id, defects = await _taken_in(store, body), Defects()
    handling = Handling({"lidarr": LidarrHandler(Nobody())})

    await Processing(store, handling, log=defects, clock=SystemClock(), chance=random.random).run_once()

    event = await store.get(event_id)
    assert (event.state, event.body, defects.seen) == (State.DEAD, body, [])
    assert event.headers["x-odd"] == "a\ufffdb\ufffdc"
