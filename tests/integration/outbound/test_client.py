"""What providers may answer, and what the client makes of it."""

import asyncio
import io
from dataclasses import replace
from datetime import timedelta

import pytest

from deploy.demo.http_faults import Fault
from libs.outbound.client import ProviderClient
from libs.outbound.errors import CircuitOpen, ProviderBusy, ProviderRefused, ProviderUnavailable
from libs.outbound.exchange import REDIRECTS
from libs.telemetry.logs import configure_logging
from tests.integration.outbound.conftest import PROVIDER, Shop, read
from tests.support.waiting import eventually

KNOWN = {"name": "a thing of some length"}


async def test_what_was_answered_once_is_not_asked_again_for_its_time(shop: Shop, client: ProviderClient) -> None:
    assert [await client.ask(shop.question(), read) for _ in range(3)] == [KNOWN] * 3
    assert len(shop.requests) == 1

    shop.clock.advance(PROVIDER.ttl)
    await client.ask(shop.question(), read)
    assert len(shop.requests) == 2


async def test_an_absence_is_remembered_for_a_shorter_time(shop: Shop, client: ProviderClient) -> None:
    assert [await client.ask(shop.question("/missing"), read) for _ in range(2)] == [None, None]
    assert len(shop.requests) == 1

    shop.clock.advance(PROVIDER.missing_ttl)
    await client.ask(shop.question("/missing"), read)
    assert len(shop.requests) == 2


async def test_no_answer_is_remembered_for_longer_than_the_question_says(shop: Shop, client: ProviderClient) -> None:
    questions = [replace(shop.question(path), ttl=timedelta(minutes=1)) for path in ("/thing", "/missing")]
    for question in questions:
        await client.ask(question, read)

    shop.clock.advance(timedelta(minutes=1))
    for question in questions:
        await client.ask(question, read)

    assert len(shop.requests) == 4


@pytest.mark.parametrize(
    "fault",
    [
        Fault.UNAVAILABLE,
        Fault.PAGE,
        Fault.LOST_PAGE,
        Fault.HALF,
        Fault.OTHER,
        Fault.SILENT,
        Fault.ELSEWHERE,
        Fault.LARGE,
    ],
)
async def test_no_fault_is_taken_for_an_absence_nor_remembered(shop: Shop, fault: Fault) -> None:
    shop.faults.queue = [fault]

    async with shop.client(replace(PROVIDER, attempts=1, timeout=timedelta(seconds=0.5))) as client:
        with pytest.raises(ProviderUnavailable):
            await client.ask(shop.question(), read)

        assert await client.ask(shop.question(), read) == KNOWN


async def test_a_provider_that_cannot_be_reached_is_unavailable(shop: Shop, client: ProviderClient) -> None:
    with pytest.raises(ProviderUnavailable):
        await client.ask(replace(shop.question(), base="http://127.0.0.1:1"), read)


async def test_a_blip_is_passed_over(shop: Shop, client: ProviderClient) -> None:
    shop.faults.queue = [Fault.UNAVAILABLE, Fault.HALF]

    assert await client.ask(shop.question(), read) == KNOWN


async def test_a_provider_that_stays_away_is_asked_a_few_times_only(shop: Shop, client: ProviderClient) -> None:
    shop.faults.always = Fault.UNAVAILABLE

    with pytest.raises(ProviderUnavailable):
        await client.ask(shop.question(), read)

    assert len(shop.requests) == PROVIDER.attempts


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.RESTING])
async def test_a_provider_that_asks_for_rest_gets_it_from_every_replica(
    shop: Shop, client: ProviderClient, fault: Fault
) -> None:
    shop.faults.queue = [fault]

    with pytest.raises(ProviderUnavailable) as refusal:
        await client.ask(shop.question(), read)
    assert refusal.value.retry_after == timedelta(seconds=60)

    async with shop.client() as replica:
        with pytest.raises(ProviderBusy):
            await replica.ask(shop.question(), read)
        assert len(shop.requests) == 1

        shop.clock.advance(timedelta(seconds=60))
        assert await replica.ask(shop.question(), read) == KNOWN


@pytest.mark.parametrize(
    ("told", "rest"),
    [
        ("Thu, 01 Jan 2026 00:00:30 GMT", timedelta(seconds=30)),
        ("Wed, 31 Dec 2025 00:00:00 GMT", timedelta()),
        ("9" * 30, timedelta(hours=1)),
        ("soon", None),
        ("Thu, 01 Jan 99999999999 00:00:00 +99999999999999", None),
        ("-1", None),
    ],
)
async def test_rest_is_asked_for_in_seconds_or_by_date_and_never_for_ever(
    shop: Shop, told: str, rest: timedelta | None
) -> None:
    shop.faults.retry_after, shop.faults.queue = told, [Fault.RESTING]
    shop.faults.date = "Thu, 01 Jan 2026 00:00:00 GMT"

    async with shop.client(replace(PROVIDER, attempts=1)) as client:
        with pytest.raises(ProviderUnavailable) as refusal:
            await client.ask(shop.question(), read)

    assert refusal.value.retry_after == rest


async def test_a_refusal_is_not_repeated(shop: Shop, client: ProviderClient) -> None:
    shop.faults.always = Fault.REFUSED

    with pytest.raises(ProviderRefused) as refusal:
        await client.ask(shop.question(), read)

    assert (refusal.value.status, len(shop.requests)) == (403, 1)


async def test_redirects_are_followed_on_the_same_server(shop: Shop, client: ProviderClient) -> None:
    assert await client.ask(shop.question("/moved"), read) == KNOWN


async def test_redirects_that_lead_nowhere_are_given_up(shop: Shop) -> None:
    async with shop.client(replace(PROVIDER, attempts=1)) as client:
        with pytest.raises(ProviderUnavailable):
            await client.ask(shop.question("/around"), read)

    assert len(shop.requests) == REDIRECTS + 1


async def test_a_provider_that_fails_again_and_again_is_left_alone_for_a_while(shop: Shop) -> None:
    async with shop.client(replace(PROVIDER, attempts=3, failures_that_open=3)) as client:
        shop.faults.always = Fault.UNAVAILABLE
        with pytest.raises(ProviderUnavailable):
            await client.ask(shop.question(), read)

        with pytest.raises(CircuitOpen):
            await client.ask(shop.question(), read)
        assert len(shop.requests) == 3
        assert shop.count("outbound_circuit", provider="shop") == 2

        shop.faults.always = None
        shop.clock.advance(PROVIDER.open_for)
        assert await client.ask(shop.question(), read) == KNOWN
        assert shop.count("outbound_circuit", provider="shop") == 0


async def test_all_who_ask_the_same_at_once_share_one_call(shop: Shop, client: ProviderClient) -> None:
    shop.faults.queue = [Fault.SLOW]

    answers = await asyncio.gather(*(client.ask(shop.question(), read) for _ in range(50)))

    assert answers == [KNOWN] * 50
    assert len(shop.requests) == 1


async def test_one_who_stops_waiting_takes_the_answer_from_nobody(shop: Shop, client: ProviderClient) -> None:
    shop.faults.queue = [Fault.SLOW]
    first = asyncio.create_task(client.ask(shop.question(), read))
    second = asyncio.create_task(client.ask(shop.question(), read))
    await eventually(shop.asked, every=0.01)

    first.cancel()

    assert await second == KNOWN
    assert len(shop.requests) == 1


async def test_a_secret_gets_into_the_query_and_nowhere_else(shop: Shop) -> None:
    shop.faults.always = Fault.PAGE
    logs = io.StringIO()
    configure_logging(level="debug", stream=logs)
    question = shop.question(params={"q": "1"}, secrets={"sig": "5ecr3t"})

    async with shop.client() as client:
        with pytest.raises(ProviderUnavailable) as error:
            await client.ask(question, read)
        with pytest.raises(ProviderUnavailable) as unreachable:
            await client.ask(replace(question, base="http://127.0.0.1:1"), read)

    assert shop.requests[0].query_params["sig"] == "5ecr3t"
    told = f"{logs.getvalue()} {shop.tracer.told} {_chain(error.value)} {_chain(unreachable.value)} {question!r}"
    assert "retry" in told
    assert "5ecr3t" not in told
    assert question.key == replace(question, secrets={"sig": "another"}).key


async def test_our_traces_are_nobody_elses_business(shop: Shop, client: ProviderClient) -> None:
    with shop.tracer.span("step", attributes={}):
        await client.ask(shop.question(), read)

    assert "traceparent" not in shop.requests[0].headers


async def test_every_series_moves(shop: Shop, client: ProviderClient) -> None:
    shop.faults.queue = [Fault.UNAVAILABLE, Fault.PAGE]

    for _ in range(2):
        await client.ask(shop.question(endpoint="things"), read)

    for status in ("200", "503", "unreadable"):
        assert shop.count("outbound_calls_total", provider="shop", endpoint="things", status=status) == 1
    assert shop.count("outbound_retries_total", provider="shop") == 2
    assert shop.count("outbound_retried_questions_total", provider="shop", outcome="answered") == 1
    assert shop.count("outbound_turns_total", provider="shop", outcome="granted") == 3
    assert shop.count("outbound_turn_wait_seconds_count", provider="shop") == 3
    assert shop.count("outbound_call_duration_seconds_count", provider="shop") == 3
    assert shop.count("cache_operations_total", cache_name="shop", operation="get") == 2
    assert shop.count("cache_operations_total", cache_name="shop", operation="set") == 1
    assert shop.count("cache_hits_total", cache_name="shop") == 1
    assert shop.count("cache_misses_total", cache_name="shop") == 1


async def test_who_is_told_to_come_back_much_later_is_counted(shop: Shop) -> None:
    far = replace(PROVIDER, interval=timedelta(hours=1), patience=timedelta(), attempts=1)
    async with shop.client(far) as client:
        await client.ask(shop.question(), read)
        with pytest.raises(ProviderUnavailable):
            await client.ask(shop.question("/other"), read)

    assert shop.count("outbound_turns_total", provider="shop", outcome="refused") == 1


async def test_a_breaker_that_opens_and_questions_in_vain_are_counted(shop: Shop) -> None:
    shop.faults.queue = [Fault.UNAVAILABLE] * 2
    async with shop.client(replace(PROVIDER, attempts=2, failures_that_open=2)) as client:
        with pytest.raises(ProviderUnavailable):
            await client.ask(shop.question(), read)

    assert shop.count("outbound_circuit", provider="shop") == 2
    assert shop.count("outbound_circuit_changes_total", provider="shop", circuit="open") == 1
    assert shop.count("outbound_retried_questions_total", provider="shop", outcome="given_up") == 1


def _chain(error: BaseException | None) -> list[str]:
    """An error and what led to it, as a log would tell them."""
    return [] if error is None else [repr(error), *_chain(error.__cause__ or error.__context__)]
