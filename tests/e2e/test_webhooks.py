"""Webhooks through the front door: answered once they are stored, whoever is away or killed meanwhile."""

import asyncio
import base64
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from deploy.demo.world import World
from tests.support.albums import wanted
from tests.support.lidarr_webhooks import album, download, grab
from tests.support.outages import away
from tests.support.suite import Json, Suite, running_suite, suite_environment
from tests.support.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

_SENDERS = 16
_KILLS = ("webhooks", "gateway", "webhooks", "gateway", "webhooks", "gateway")
_BETWEEN = 0.4  # seconds of load before a kill at most


@pytest.fixture
def secret(world: World) -> dict[str, str]:
    return {"X-Webhook-Secret": world.environment["LIDARR_WEBHOOK_SECRET"]}


async def _deliver(suite: Suite, body: Json, headers: dict[str, str]) -> httpx.Response:
    return await suite.client.post("/api/webhooks/lidarr", json=body, headers=headers)


async def _event(suite: Suite, event_id: str) -> dict[str, Any]:
    answer = await suite.client.get(f"/api/v1/events/{event_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_redelivery_is_answered_with_the_first_id_and_counted(suite: Suite, secret: dict[str, str]) -> None:
    body = download(downloadId=uuid.uuid4().hex)

    first, second = [(await _deliver(suite, body, secret)).json() for _ in range(2)]

    assert (first["duplicate"], second["duplicate"]) == (False, True)
    assert second["eventId"] == first["eventId"]
    assert (await _event(suite, first["eventId"]))["duplicateCount"] == 1


async def test_the_body_is_kept_byte_for_byte(suite: Suite, secret: dict[str, str]) -> None:
    body = b'\r\n {"eventType" : "Health", "x": "\xc3\xa4\x00"}\xff'

    answer = await suite.client.post("/api/webhooks/lidarr", content=body, headers=secret)

    kept = (await _event(suite, answer.json()["eventId"]))["body"]
    assert base64.b64decode(kept) == body


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800"])
async def test_a_text_that_nobody_can_store_ends_its_event_and_no_service(
    suite: Suite, secret: dict[str, str], text: str
) -> None:
    pid = suite.pid("webhooks")
    body = f'{{"eventType": "DownloadFailure", "downloadId": "{text}"}}'
    answer = await suite.client.post("/api/webhooks/lidarr", content=body.encode(), headers=secret)

    async def dead() -> Json | None:
        event = await _event(suite, answer.json()["eventId"])
        return event if event["state"] == "DEAD" else None

    assert "downloadId" in (await eventually(dead))["error"]
    assert suite.pid("webhooks") == pid


async def test_the_etag_of_an_event_has_its_quotes(suite: Suite, secret: dict[str, str]) -> None:
    event_id = (await _deliver(suite, {"eventType": "Health", "n": uuid.uuid4().hex}, secret)).json()["eventId"]

    answer = await suite.client.get(f"/api/v1/events/{event_id}")

    assert answer.json()["etag"].startswith('"')
    assert answer.headers["etag"].startswith("W/" + answer.json()["etag"][:-1] + "~")


async def test_an_event_that_comes_before_its_acquisition_finds_it_later(
    suite: Suite, world: World, secret: dict[str, str]
) -> None:
    wish = world.albums.by_lidarr
    body = grab(albums=[album(987_654, wish.mbid)], downloadId=uuid.uuid4().hex)
    event_id = (await _deliver(suite, body, secret)).json()["eventId"]

    async def reached(state: str) -> Json | None:
        event = await _event(suite, event_id)
        return event if event["state"] == state else None

    await eventually(lambda: reached("UNMATCHED"))
    name = (await suite.request(album=wanted(wish), source="LIDARR"))["name"]

    assert (await eventually(lambda: reached("DONE")))["acquisitions"] == [name]
    assert (await suite.ended(name))["state"] == "COMPLETED"


async def test_while_the_service_is_away_the_sender_is_told_to_come_back_and_then_nothing_is_lost(
    suite: Suite, secret: dict[str, str]
) -> None:
    body = download(downloadId=uuid.uuid4().hex)
    async with away(suite, "webhooks"):
        refused = await _deliver(suite, body, secret)

    async def taken() -> httpx.Response | None:
        answer = await _deliver(suite, body, secret)
        return answer if answer.status_code == 202 else None

    answer = await eventually(taken, every=0.2)

    assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
    assert int(refused.headers["retry-after"]) >= 1
    assert (await _event(suite, answer.json()["eventId"]))["source"] == "lidarr"


class _Load:
    """Senders that deliver on and on, and repeat what was not answered with 202, as Lidarr's user would."""

    def __init__(self, suite: Suite, headers: dict[str, str]) -> None:
        self._suite = suite
        self._headers = headers
        self.answered: dict[str, str] = {}  # event ids by download id
        self.repeated = 0

    async def send(self) -> None:
        """Deliver until cancelled."""
        while True:
            download_id = uuid.uuid4().hex
            while not await self._answered(download_id):
                self.repeated += 1
                await asyncio.sleep(0.05)

    async def progress(self) -> None:
        """Return once something more was answered."""
        before = len(self.answered)

        async def more() -> bool:
            return len(self.answered) > before

        await eventually(more, within=90)

    async def again(self) -> dict[str, tuple[str, bool]]:
        """Deliver once more all that was answered; the answers by download id."""
        slots = asyncio.Semaphore(_SENDERS)

        async def one(download_id: str) -> tuple[str, tuple[str, bool]]:
            async with slots:
                answer = (await self._post(download_id)).json()
                return download_id, (answer["eventId"], answer["duplicate"])

        return dict(await asyncio.gather(*map(one, self.answered)))

    async def _answered(self, download_id: str) -> bool:
        with suppress(httpx.HTTPError):
            answer = await self._post(download_id)
            if answer.status_code == 202:
                self.answered[download_id] = answer.json()["eventId"]
                return True
            assert answer.status_code in (503, 504), answer.text
        return False

    async def _post(self, download_id: str) -> httpx.Response:
        return await _deliver(self._suite, download(downloadId=download_id), self._headers)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lonely(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite without a world: nobody but its senders talks to it."""
    home: Path = tmp_path_factory.mktemp("lonely")
    async with running_suite(suite_environment(home, {"LIDARR_WEBHOOK_SECRET": "lonely-secret"})) as suite:
        yield suite


async def test_what_was_answered_is_stored_exactly_once_whoever_was_killed_meanwhile(lonely: Suite) -> None:
    chance = random.Random(2)
    load = _Load(lonely, {"X-Webhook-Secret": "lonely-secret"})
    async with asyncio.TaskGroup() as group:
        senders = [group.create_task(load.send()) for _ in range(_SENDERS)]
        for service in _KILLS:
            await load.progress()
            await asyncio.sleep(chance.uniform(0, _BETWEEN))  # the moment of the kill, not a wait for anything
            await lonely.kill(service)
        await load.progress()
        for sender in senders:
            sender.cancel()
    await lonely.wait_ready()

    assert load.repeated > 0
    assert len(set(load.answered.values())) == len(load.answered) > len(_KILLS)
    assert await load.again() == {download_id: (event_id, True) for download_id, event_id in load.answered.items()}
