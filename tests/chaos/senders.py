"""Senders of webhooks through the front door: those that repeat what was not answered, and those that never do."""

import asyncio
import random
import uuid
from contextlib import suppress

import httpx

from tests.support.lidarr_webhooks import download
from tests.support.waiting import eventually

SECRET = "chaos-secret"
REPEATING = 8
GIVING_UP = 4

_PAUSE = 0.05  # seconds between two deliveries of a sender, at most
_BEFORE_REPEAT = 0.3  # seconds, at most
_REFUSALS = (503, 504)  # what may be answered while somebody is down; never that the delivery is wrong


class Senders:
    """What they delivered: `answered` has event ids by download id, `unanswered` the rest."""

    def __init__(self, url: str, chance: random.Random) -> None:
        self._client = httpx.AsyncClient(
            base_url=url, headers={"x-webhook-secret": SECRET}, timeout=15, trust_env=False
        )
        self._chance = chance
        self.answered: dict[str, str] = {}
        self.unanswered: set[str] = set()
        self.repeats = 0
        self._stopped = False

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.aclose()

    def stop(self) -> None:
        """Begin no further delivery. What is on its way ends by itself: cut off, it might leave its socket open."""
        self._stopped = True

    async def run(self) -> None:
        """Deliver until stopped."""
        async with asyncio.TaskGroup() as group:
            for _ in range(REPEATING):
                group.create_task(self._send(repeat=True))
            for _ in range(GIVING_UP):
                group.create_task(self._send(repeat=False))

    async def progress(self, within: float) -> None:
        """Return once something more was answered."""
        before = len(self.answered)

        async def more() -> bool:
            return len(self.answered) > before

        await eventually(more, within=within, every=0.01)

    async def deliver(self, download_id: str) -> tuple[str, bool] | None:
        """Event id and whether it is a duplicate; None where it was not acknowledged."""
        body = download(downloadId=download_id)
        with suppress(httpx.HTTPError):
            answer = await self._client.post("/api/webhooks/lidarr", json=body)
            if answer.status_code == 202:
                return answer.json()["eventId"], answer.json()["duplicate"]
            assert answer.status_code in _REFUSALS, answer.text
        return None

    async def _send(self, *, repeat: bool) -> None:
        while not self._stopped:
            download_id = uuid.uuid4().hex
            self.unanswered.add(download_id)
            while (told := await self.deliver(download_id)) is None and repeat and not self._stopped:
                self.repeats += 1
                await asyncio.sleep(self._chance.uniform(0, _BEFORE_REPEAT))
            if told is not None:
                self.unanswered.remove(download_id)
                self.answered[download_id] = told[0]
            await asyncio.sleep(self._chance.uniform(0, _PAUSE if told else _BEFORE_REPEAT))
