"""A campaign: kills at random moments under load, and then the books are balanced.

Gateway and webhooks service are real processes on a real database; acquisitions are a peer that remembers every effect.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, islice, takewhile
from pathlib import Path
from typing import Protocol

from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc

from libs.errors import AppError
from libs.rpc.client import open_channel
from tests.chaos.processes import KilledServer, revived
from tests.chaos.senders import SECRET, Senders
from tests.support.ports import free_ports
from tests.support.postgres import Postgres
from tests.support.waiting import eventually
from tests.support.webhook_peers import ROOT_KEY, SERVICE_TOKEN, Peers, running_peers

_BETWEEN = 0.4  # seconds of load before a kill, at most, beside the time until something was answered
_COMES_BACK = 180.0  # seconds until something is answered again, at most: machines are busy
_OUTAGE = 0.5  # seconds without a database
_AT_ONCE = 16  # deliveries again, at the end


class Victim(Protocol):
    """Who can be killed."""

    async def kill(self) -> None:
        """At this moment."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The books: `effects` are events that were told to acquisitions, each counted once.

    `duplicates` are deliveries that became two events; `wrong` are deliveries that, told again, were no duplicate of
    what they were before.
    """

    kills: Mapping[str, int]
    acknowledged: int
    repeats: int
    stored: int
    stored_unanswered: int
    effects: int
    lost: Sequence[str]
    duplicates: Sequence[str]
    wrong: Sequence[str]

    @property
    def clean(self) -> bool:
        """Whether each acknowledged delivery is one event with one effect, and nothing else happened twice."""
        return not (self.lost or self.duplicates or self.wrong) and self.effects == self.stored


async def run(
    home: Path,
    *,
    kills: int,
    seed: int,
    server: Postgres | None = None,
    database: str = "",
    within: timedelta = timedelta.max,
    webhooks: str = "services.webhooks",
) -> Outcome:
    """Kill so often, on SQLite or on the server (which is then a victim too), and balance the books.

    Who has not so much time stops killing after `within`, and names a module that runs `webhooks` with a short lease.
    """
    chance = random.Random(seed)
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running_peers(SECRET))
        environment = environment_of(home, peers, server.url(database) if server else "")
        victims: dict[str, Victim] = {
            name: await stack.enter_async_context(revived(module, environment, home / f"{name}.log"))
            for name, module in (("webhooks", webhooks), ("gateway", "services.gateway"))
        }
        if server is not None:
            victims["database"] = KilledServer(server, _OUTAGE)
        senders = Senders(f"http://127.0.0.1:{environment['LOCKGROOVE_PORT']}", chance)
        stack.push_async_callback(senders.aclose)
        killed = await _kill(victims, senders, kills, chance, within)
        events = await _settled(environment["LOCKGROOVE_WEBHOOKS_LISTEN"])
        return await _balance(peers, senders, killed, events)


async def _kill(
    victims: Mapping[str, Victim], senders: Senders, kills: int, chance: random.Random, within: timedelta
) -> Counter[str]:
    """Everybody in turn, in a shuffled order, so that a few kills already meet each of them."""
    order = list(islice(cycle(victims), kills))
    chance.shuffle(order)
    killed: Counter[str] = Counter()
    end = time.monotonic() + within.total_seconds()
    load = asyncio.create_task(senders.run())
    try:
        for name in takewhile(lambda _: time.monotonic() < end, order):
            await senders.progress(_COMES_BACK)
            await asyncio.sleep(chance.uniform(0, _BETWEEN))  # the moment of the kill, not a wait for anything
            await victims[name].kill()
            killed[name] += 1
        await senders.progress(_COMES_BACK)
    finally:
        senders.stop()
        await load
    return killed


async def _settled(address: str) -> set[str]:
    """The ids of all events once each has taken effect."""
    async with open_channel(address, credential=SERVICE_TOKEN) as channel:
        stub = rpc.WebhooksServiceStub(channel)

        async def none_open() -> bool:
            with suppress(AppError):
                return not (await stub.ListEvents(pb.ListEventsRequest(filter="state != DONE", page_size=1))).events
            return False

        await eventually(none_open, within=240, every=0.2)
        return {event.name.removeprefix("events/") async for event in _events(stub)}


async def _events(stub: rpc.WebhooksServiceStub) -> AsyncIterator[pb.Event]:
    token = ""
    while True:
        page = await stub.ListEvents(pb.ListEventsRequest(page_size=1000, page_token=token))
        for event in page.events:
            yield event
        token = page.next_page_token
        if not token:
            return


async def _balance(peers: Peers, senders: Senders, killed: Counter[str], events: set[str]) -> Outcome:
    facts = peers.acquisitions.facts
    told: dict[str, list[str]] = {}
    for event_id, fact in facts.items():
        told.setdefault(fact.download_id, []).append(event_id)
    lost = [key for key, event_id in senders.answered.items() if event_id not in events or event_id not in facts]
    unanswered = {key: told[key][0] for key in senders.unanswered if key in told}
    return Outcome(
        kills=killed,
        acknowledged=len(senders.answered),
        repeats=senders.repeats,
        stored=len(events),
        stored_unanswered=len(unanswered),
        effects=len(facts),
        lost=lost,
        duplicates=[key for key, event_ids in told.items() if len(event_ids) > 1],
        wrong=await _again(senders, senders.answered | unanswered),
    )


async def _again(senders: Senders, known: Mapping[str, str]) -> list[str]:
    """Which of what is stored is not a duplicate of itself when it is delivered once more."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(download_id: str, event_id: str) -> str | None:
        async with slots:
            answer = await eventually(lambda: senders.deliver(download_id))
            return None if answer == (event_id, True) else f"{download_id}: {event_id}, then {answer}"

    found = await asyncio.gather(*(one(*pair) for pair in known.items()))
    return [text for text in found if text is not None]


def environment_of(home: Path, peers: Peers, database: str = "") -> dict[str, str]:
    """What gateway and webhooks service read, with these peers."""
    gateway, webhooks = free_ports(2)
    own = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {
        **own,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "LOCKGROOVE_HOME": str(home),
        "LOCKGROOVE_SECRET_KEY": ROOT_KEY,
        "LOCKGROOVE_HOST": "127.0.0.1",
        "LOCKGROOVE_PORT": str(gateway),
        "LOCKGROOVE_WEBHOOKS_LISTEN": f"127.0.0.1:{webhooks}",
        "LOCKGROOVE_ACQUISITION_LISTEN": peers.acquisition_address,
        "LOCKGROOVE_CONFIG_LISTEN": peers.config_address,
        **({"DATABASE_URL": database} if database else {}),
    }
