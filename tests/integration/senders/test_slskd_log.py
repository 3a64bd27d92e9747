"""slskd's log of events: what its webhook lost is found there, and neither doubles the other."""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from deploy.demo.slskd.events import Webhook
from deploy.demo.slskd.world import SlskdWorld
from libs.clock import ManualClock
from libs.sql.engine import Database
from services.webhooks.domain.event import Origin, State
from services.webhooks.domain.slskd import WATERMARK
from services.webhooks.peers import Address, PeerRefusedKey, PeerUnavailable
from services.webhooks.slskd.log import PAGE

from .station import Station, open_station

LATER = timedelta(minutes=1)


@pytest.fixture
async def station(database: Database, slskd: SlskdWorld) -> AsyncIterator[Station]:
    async with open_station(database) as station:
        station.slskd_address = Address(url=slskd.url, api_key=slskd.api_key)
        await station.slskd_log().fill()
        yield station


@pytest.fixture
async def deaf(station: Station, clock: ManualClock) -> Station:
    """With nothing that slskd would tell; the first event comes after we began."""
    clock.advance(LATER)
    return station


async def test_what_happened_before_we_began_stays_in_the_past(
    database: Database, slskd: SlskdWorld, clock: ManualClock
) -> None:
    await slskd.events.raise_event("Noop", {})
    clock.advance(LATER)
    async with open_station(database) as station:
        station.slskd_address = Address(url=slskd.url, api_key=slskd.api_key)
        await station.slskd_log().fill()

        assert await station.slskd_log().fill() == []


async def test_a_lost_event_is_found_and_done_as_a_hint(deaf: Station, slskd: SlskdWorld) -> None:
    raised = await slskd.events.raise_event("DownloadFileComplete", {"localFilename": "/downloads/01.flac"})

    await deaf.slskd_log().fill()
    await deaf.handle()

    [event] = await deaf.events()
    assert (event.source, event.type, event.origin, event.state) == (
        "slskd",
        "DownloadFileComplete",
        Origin.BACKFILL,
        State.DONE,
    )
    assert f'"id": "{raised.id}"'.encode() in event.body
    assert b'"localFilename": "/downloads/01.flac"' in event.body


@pytest.mark.parametrize("is_first", [True, False], ids=["the webhook first", "the log first"])
async def test_a_webhook_and_the_log_are_one_event(station: Station, slskd: SlskdWorld, is_first: bool) -> None:
    station.remote_address = "127.0.0.1"  # slskd has no secret here: only this machine may deliver
    raised = await slskd.events.raise_event("Noop", {})
    told = {"id": raised.id, "timestamp": "2026-02-14T00:00:00Z", "type": "Noop", "version": 0}

    async def deliver() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{station.public_url}/api/webhooks/slskd", json=told)

    if is_first:
        await deliver()
    await station.slskd_log().fill()
    if not is_first:
        await deliver()

    assert len(await station.events()) == 1


async def test_more_than_a_page_is_read_to_its_end(deaf: Station, slskd: SlskdWorld) -> None:
    for _ in range(2 * PAGE + 5):
        await slskd.events.raise_event("Noop", {})

    await deaf.slskd_log().fill()

    assert len(await deaf.events()) == 2 * PAGE + 5
    assert await deaf.slskd_log().fill() == []


async def test_a_log_whose_pages_do_not_move_is_unknown(
    deaf: Station, slskd: SlskdWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(PAGE):
        await slskd.events.raise_event("Noop", {})
    first = slskd.events.page(0, PAGE)
    monkeypatch.setattr(slskd.events, "page", lambda _offset, _limit: first)

    with pytest.raises(PeerUnavailable, match="same page"):
        await deaf.slskd_log().fill()


async def test_a_clock_of_slskd_that_is_set_back_hides_nothing(
    deaf: Station, slskd: SlskdWorld, clock: ManualClock
) -> None:
    await slskd.events.raise_event("Noop", {})
    await deaf.slskd_log().fill()

    clock.advance(-timedelta(days=1))
    await slskd.events.raise_event("Noop", {})

    assert len(await deaf.slskd_log().fill()) == 1
    assert await deaf.slskd_log().fill() == []


async def test_an_event_that_is_written_late_is_found_among_older_ones(
    deaf: Station, slskd: SlskdWorld, clock: ManualClock
) -> None:
    ended = clock.now()
    clock.advance(LATER)
    await slskd.events.raise_event("Noop", {})
    await deaf.slskd_log().fill()

    await slskd.events.raise_event("DownloadFileComplete", {}, at=ended)

    assert len(await deaf.slskd_log().fill()) == 1


async def test_a_slskd_that_fails_is_unknown(deaf: Station, slskd: SlskdWorld) -> None:
    await slskd.events.raise_event("Noop", {})
    before = await deaf.watermarks.find(WATERMARK)
    slskd.faults.append(500)

    with pytest.raises(PeerUnavailable):
        await deaf.slskd_log().fill()
    assert await deaf.watermarks.find(WATERMARK) == before

    deaf.slskd_address = Address(url=slskd.url, api_key="wrong")
    with pytest.raises(PeerRefusedKey):
        await deaf.slskd_log().find()


async def test_without_a_slskd_nothing_is_missing(deaf: Station) -> None:
    deaf.slskd_address = None

    assert await deaf.slskd_log().fill() == []


async def test_the_pretended_slskd_tells_its_webhook_once(deaf: Station, slskd: SlskdWorld) -> None:
    slskd.events.webhooks.append(Webhook(url=f"{deaf.public_url}/api/webhooks/slskd", headers={}))
    key = {"X-Api-Key": slskd.api_key}
    async with httpx.AsyncClient(base_url=slskd.url, headers=key, trust_env=False) as client:
        assert (await client.post("/api/v0/events/Noop", json="a sample")).status_code == 201
        assert (await client.post("/api/v0/events/Any", json="a sample")).status_code == 400
        listed = await client.get("/api/v0/events", params={"offset": 0, "limit": 100})

    assert (listed.headers["X-Total-Count"], isinstance(listed.json()[0]["data"], str)) == ("1", True)
    assert len(slskd.events.sent) == 1
