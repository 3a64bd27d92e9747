"""The intake of webhooks beside a service that answers when the test says so."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from starlette.requests import Request

from libs.clock import ManualClock
from libs.errors import AppError, Internal, Unavailable
from services.gateway import webhooks
from services.gateway.webhooks import Intake, TooManyBytesWaiting


class Service:
    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.forgets = False

    async def IngestDeliveries(self, request: pb.IngestDeliveriesRequest) -> pb.IngestDeliveriesResponse:
        bodies = [delivery.body for delivery in request.deliveries]
        self.calls.append(bodies)
        if (error := await self.answers.get()) is not None:
            raise error
        outcomes = [pb.DeliveryOutcome(event_id=f"evt-{body[:9].decode()}") for body in bodies]
        return pb.IngestDeliveriesResponse(outcomes=outcomes[1:] if self.forgets else outcomes)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def intake(service: Any) -> Intake:
    return Intake(service, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)))


def request(body: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    scope = {"type": "http", "headers": [], "path_params": {"source": "lidarr"}, "client": ("10.0.0.1", 1)}
    return Request(scope, receive)


def sent(intake: Intake, bodies: Sequence[bytes]) -> list["asyncio.Task[Any]"]:
    return [asyncio.create_task(intake.receive(request(body))) for body in bodies]


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_what_arrives_while_a_call_runs_shares_the_next_in_order(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    tasks += sent(intake, [b"%d" % number for number in range(1, 300)])
    await settled()
    for _ in range(3):
        service.answers.put_nowait(None)

    answers = [orjson.loads(response.body)["eventId"] for response in await asyncio.gather(*tasks)]

    assert [len(call) for call in service.calls] == [1, 256, 43]
    assert [body for call in service.calls for body in call] == [b"%d" % number for number in range(300)]
    assert answers == [f"evt-{number}" for number in range(300)]


async def test_large_deliveries_are_spread_over_calls(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    tasks += sent(intake, [b"%d" % number * 1_000_000 for number in range(1, 10)])
    await settled()
    for _ in range(3):
        service.answers.put_nowait(None)
    await asyncio.gather(*tasks)

    assert [len(call) for call in service.calls] == [1, 8, 1]


async def test_a_call_that_fails_fails_its_own_deliveries_alone(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    tasks += sent(intake, [b"1"])
    service.answers.put_nowait(Unavailable("gone"))
    service.answers.put_nowait(None)

    with pytest.raises(Unavailable):
        await tasks[0]
    assert (await tasks[1]).status_code == 202


async def test_outcomes_that_are_missing_are_nobodys_success(intake: Intake, service: Service) -> None:
    service.forgets = True
    service.answers.put_nowait(None)

    with pytest.raises(Internal):
        await intake.receive(request(b"0"))


async def test_memory_for_what_waits_is_bounded(
    intake: Intake, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_WAITING_BYTES", 1000)
    tasks = sent(intake, [b"0" * 800])
    await settled()

    with pytest.raises(TooManyBytesWaiting):
        await intake.receive(request(b"1" * 800))

    service.answers.put_nowait(None)
    await asyncio.gather(*tasks)


async def test_closing_answers_what_waits_and_takes_nothing_more(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    service.answers.put_nowait(None)

    await intake.aclose()

    assert tasks[0].done()
    with pytest.raises(AppError):
        await intake.receive(request(b"1"))
