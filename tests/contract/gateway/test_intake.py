"""The intake of webhooks beside a service that answers when the test says so."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from lockgroove.webhooks.v1 import webhooks_pb2 as pb

from libs.clock import ManualClock
from libs.errors import AppError, DeadlineExceeded, Internal, Unavailable
from libs.telemetry import correlation
from libs.telemetry.correlation import new_trace
from libs.telemetry.tracing import LocalTracer, entered
from services.gateway import webhooks
from services.gateway.webhooks import Intake, NoRoom, NotAnswered, SourceUnknown
from tests.support.spans import RecordingTracer


class Service:
    def __init__(self) -> None:
        self.calls: list[list[bytes]] = []
        self.answers: asyncio.Queue[Exception | None] = asyncio.Queue()
        self.forgets = False
        self.secrets: list[str] = []
        self.challenge = ""
        self.traces: set[str] = set()

    async def IngestDeliveries(self, request: pb.IngestDeliveriesRequest) -> pb.IngestDeliveriesResponse:
        bodies = [delivery.body for delivery in request.deliveries]
        self.calls.append(bodies)
        if (trace := correlation.trace.get()) is not None:
            self.traces.add(trace.trace_id)
        self.secrets += [delivery.url_secret for delivery in request.deliveries]
        if (error := await self.answers.get()) is not None:
            raise error
        outcomes = [
            pb.DeliveryOutcome(event_id=f"evt-{body[:9].decode()}", challenge=self.challenge) for body in bodies
        ]
        return pb.IngestDeliveriesResponse(outcomes=outcomes[1:] if self.forgets else outcomes)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def intake(service: Any) -> Intake:
    return Intake(service, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)), LocalTracer())


async def deliver(intake: Intake, body: bytes, **path: str) -> tuple[int, Any]:
    """Status and answer."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "headers": [], "path_params": {"source": "lidarr"} | path, "client": ("10.0.0.1", 1)}
    await intake(scope, receive, send)
    start, rest = sent
    return start["status"], orjson.loads(rest["body"])


def sent(intake: Intake, bodies: Sequence[bytes]) -> list["asyncio.Task[tuple[int, Any]]"]:
    return [asyncio.create_task(deliver(intake, body)) for body in bodies]


async def settled() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_shared_call_has_links_to_the_requests_that_are_recorded_and_is_below_none(service: Any) -> None:
    tracer, unrecorded = RecordingTracer(), replace(new_trace(), sampled=False)
    intake = Intake(service, ManualClock(datetime(2026, 11, 22, tzinfo=UTC)), tracer)
    requests = [new_trace(), unrecorded, new_trace()]
    tasks = []
    for number, request in enumerate(requests):
        with entered(request):
            tasks += sent(intake, [b"%d" % number])
        service.answers.put_nowait(None)

    await asyncio.gather(*tasks)

    linked = [each for _, links in tracer.links for each in links]
    assert {name for name, _ in tracer.links} == {"webhook deliveries"}
    assert linked == [requests[0], requests[2]]
    assert service.traces.isdisjoint({each.trace_id for each in requests})


async def test_what_arrives_while_a_call_runs_shares_the_next_in_order(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    tasks += sent(intake, [b"%d" % number for number in range(1, 300)])
    await settled()
    assert len(service.calls) == 1  # a second call could overtake it
    for _ in range(300):
        service.answers.put_nowait(None)

    answers = [answer["eventId"] for _, answer in await asyncio.gather(*tasks)]

    assert len(service.calls[0]) == 1
    assert len(service.calls) < 20
    assert [body for call in service.calls for body in call] == [b"%d" % number for number in range(300)]
    assert answers == [f"evt-{number}" for number in range(300)]


async def test_large_deliveries_are_spread_over_calls(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    tasks += sent(intake, [b"1" * 1_000_000] * 40)
    await settled()
    for _ in range(41):
        service.answers.put_nowait(None)
    await asyncio.gather(*tasks)

    assert sum(map(len, service.calls)) == 41
    assert max(map(len, service.calls)) == webhooks.MAX_CALL // 1_000_000


async def test_a_call_that_fails_fails_its_own_deliveries_alone(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    tasks += sent(intake, [b"1"])
    service.answers.put_nowait(Unavailable("gone"))
    service.answers.put_nowait(None)

    with pytest.raises(Unavailable):
        await tasks[0]
    assert (await tasks[1])[0] == 202


async def test_outcomes_that_are_missing_are_nobodys_success(intake: Intake, service: Service) -> None:
    service.forgets = True
    service.answers.put_nowait(None)

    with pytest.raises(Internal):
        await deliver(intake, b"0")


async def test_memory_for_what_waits_is_bounded(
    intake: Intake, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MAX_WAITING_BYTES", 1000)
    tasks = sent(intake, [b"0" * 800])
    await settled()

    with pytest.raises(NoRoom):
        await deliver(intake, b"1" * 800)

    service.answers.put_nowait(None)
    await asyncio.gather(*tasks)


async def test_closing_answers_what_waits_and_takes_nothing_more(intake: Intake, service: Service) -> None:
    tasks = sent(intake, [b"0"])
    await settled()
    service.answers.put_nowait(None)

    await intake.aclose()

    assert tasks[0].done()
    with pytest.raises(AppError):
        await deliver(intake, b"1")


async def test_a_secret_in_the_address_is_handed_on(intake: Intake, service: Service) -> None:
    service.answers.put_nowait(None)

    assert (await deliver(intake, b"0", source="door", secret="k9_-Z"))[0] == 202
    assert service.secrets == ["k9_-Z"]


@pytest.mark.parametrize("secret", ["a.b", "a b", "ä", "x" * 501, "\x00"])
async def test_what_can_be_no_secret_is_as_unknown_as_any_source(intake: Intake, service: Service, secret: str) -> None:
    with pytest.raises(SourceUnknown) as caught:
        await deliver(intake, b"0", source="door", secret=secret)

    assert (caught.value.message, caught.value.metadata) == ("there is no webhook source 'door'", {"source": "door"})
    assert service.calls == []


async def test_a_challenge_is_answered_with_200(intake: Intake, service: Service) -> None:
    service.challenge = "3eZbrw"
    service.answers.put_nowait(None)

    answer = await deliver(intake, b"0")

    assert answer == (200, {"challenge": "3eZbrw"})


async def test_a_service_that_hangs_lets_its_senders_come_back(intake: Intake, service: Service) -> None:
    service.answers.put_nowait(DeadlineExceeded("too slow"))

    with pytest.raises(NotAnswered) as caught:
        await deliver(intake, b"0")

    assert caught.value.retry_after is not None


async def test_too_many_that_wait_are_told_to_come_back(
    intake: Intake, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake._batcher, "_max_waiting", 1)
    tasks = []
    for number in range(2):  # one is on its way, and one waits
        tasks += sent(intake, [b"%d" % number])
        await settled()

    with pytest.raises(NoRoom) as caught:
        await deliver(intake, b"9")

    assert caught.value.retry_after is not None
    for _ in tasks:
        service.answers.put_nowait(None)
    await asyncio.gather(*tasks)
