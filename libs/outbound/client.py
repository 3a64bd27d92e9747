"""Asks one provider: from memory where it answered before, else in turn, again after a blip, and never too often."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import stamina

from libs.clock import Clock
from libs.outbound.answers import Answer, Answers
from libs.outbound.breaker import Breaker
from libs.outbound.errors import CircuitOpen, ProviderUnavailable
from libs.outbound.exchange import exchange
from libs.outbound.flights import Flights
from libs.outbound.http import httpx
from libs.outbound.metrics import Asking, OutboundMetrics
from libs.outbound.provider import Provider, Question
from libs.outbound.slots import CallSlots
from libs.telemetry.tracing import Span, Tracer, Value

Reading = Callable[[Any], Any]
"""What of a JSON answer is worth keeping, as an object or a list of plain JSON values; None for a known absence.

Raises one of `UNREADABLE` where the answer is not what it should be.
"""

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a reading stumbles with over a document of another shape."""


class ProviderClient:
    """Knows no provider: what it is told of one, it keeps to."""

    def __init__(
        self,
        provider: Provider,
        http: httpx.AsyncClient,
        *,
        slots: CallSlots,
        answers: Answers,
        metrics: OutboundMetrics,
        tracer: Tracer,
        clock: Clock,
    ) -> None:
        self._provider = provider
        self._http = http
        self._slots = slots
        self._answers = answers
        self._metrics = metrics
        self._tracer = tracer
        self._flights: Flights[Any] = Flights()
        self.breaker = Breaker(provider, clock=clock, told=partial(metrics.circuit, provider.name))

    async def ask(self, question: Question, read: Reading) -> Any | None:
        """What `read` keeps of the answer, or None where the provider knows nothing of it.

        Raises:
            ProviderUnavailable: it cannot be told now.
            ProviderRefused: it does not want to.
        """
        name, key = self._provider.name, question.key
        with self._tracer.span(f"ask {name}", attributes=self._attributes(question)) as span:
            known = await self._answers.find(name, key)
            self._metrics.looked_up(name, hit=known is not None)
            span.set("cached", known is not None)
            if known is not None:
                return known.body
            return await self._flights.join(key, lambda: self._learn(question, read, span))

    def _attributes(self, question: Question) -> dict[str, Value]:
        return {"provider": self._provider.name, "endpoint": question.endpoint}

    async def _learn(self, question: Question, read: Reading, span: Span) -> Any | None:
        provider = self._provider
        with self._metrics.asking(provider.name) as asking:
            try:
                body = await self._persist(question, read, asking)
            finally:
                span.set("calls", asking.calls)
        ttl = question.ttl or provider.ttl
        if body is None:
            ttl = min(ttl, provider.missing_ttl)
        await self._answers.keep(provider.name, question.key, Answer(body=body), ttl=ttl)
        self._metrics.kept(provider.name)
        return body

    async def _persist(self, question: Question, read: Reading, asking: Asking) -> Any | None:
        provider = self._provider
        async for attempt in stamina.retry_context(
            on=self._may_pass,
            attempts=provider.attempts,
            timeout=None,
            wait_initial=provider.pause,
            wait_max=provider.pause * 8,
            wait_jitter=provider.pause,
        ):
            with attempt:
                return await self._call_in_turn(question, read, asking)
        raise AssertionError("the last attempt returns or raises")

    def _may_pass(self, error: Exception) -> bool:
        """Whether it helps to try again soon."""
        if not isinstance(error, ProviderUnavailable) or isinstance(error, CircuitOpen):
            return False
        return error.retry_after is None or error.retry_after <= self._provider.patience

    async def _call_in_turn(self, question: Question, read: Reading, asking: Asking) -> Any | None:
        provider = self._provider
        self.breaker.check()
        with self._metrics.taking_turn(provider.name):
            turn = await self._slots.take(provider.name, interval=provider.interval, patience=provider.patience)
        self._metrics.waited(provider.name, turn.wait.total_seconds())
        await asyncio.sleep(turn.wait.total_seconds())
        try:
            with self.breaker.call():
                asking.calls += 1
                return await self._call(question, read, attempt=asking.calls)
        except ProviderUnavailable as error:
            if error.retry_after is not None and not isinstance(error, CircuitOpen):
                await self._slots.postpone(provider.name, error.retry_after)  # for all replicas
            raise

    async def _call(self, question: Question, read: Reading, *, attempt: int) -> Any | None:
        """No traceparent is sent: our traces are nobody else's business."""
        name = self._provider.name
        attributes = self._attributes(question) | {"url.path": question.path, "attempt": attempt}
        with (
            self._tracer.span(f"GET {name}", "client", attributes=attributes) as span,
            self._metrics.calling(name, question.endpoint) as call,
        ):
            try:
                document = await exchange(self._http, self._provider, question, call)
                return None if document is None else self._read(document, read)
            except ProviderUnavailable as error:
                span.fail(error.message)
                raise
            finally:
                span.set("status", call.status)

    def _read(self, document: Any, read: Reading) -> Any | None:
        try:
            return read(document)
        except UNREADABLE as error:
            name = self._provider.name
            raise ProviderUnavailable(
                f"{name} answers something else than expected", metadata={"provider": name}
            ) from error
