"""`POST /api/webhooks/{source}`: the one route that no annotation can express, because its bytes must stay as they are.

It is plain ASGI, because whole bursts pass here: what a request or response object costs is paid for each delivery.

Senders that can do no better name a secret behind the source; it is handed on and shown nowhere.

Deliveries that arrive during a call share the next one, in the order they came; each is answered for itself, after the
service has stored it. There is one call at a time: a second one could overtake the first, and the order of a source.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.webhooks.v1 import webhooks_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as rpc
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from libs.batching import Batcher
from libs.clock import Clock
from libs.errors import AppError, DeadlineExceeded, Internal, NotFound, ResourceExhausted, Unavailable
from libs.rpc.errors import from_status
from libs.telemetry import correlation
from libs.telemetry.correlation import Trace
from libs.telemetry.tracing import UNRECORDED, Span, Tracer, recorded
from libs.transcoding import jsontext
from services.gateway.http.bodies import read_body

MAX_BATCH = 256  # deliveries a call, as the proto says
MAX_CALL = 8 * 1024 * 1024  # bytes a call: half of what a service receives
MAX_WAITING = 4096  # deliveries
MAX_WAITING_BYTES = 64 * 1024 * 1024

_SOURCE = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_URL_SECRET = re.compile(r"[A-Za-z0-9_-]{0,500}", re.ASCII)
_LONGEST_ADDRESS = 100
_RETRY_AFTER = timedelta(seconds=5)
_REQUEST_ID = "x-request-id"
_Asked: TypeAlias = tuple[pb.Delivery, Trace | None]  # with the request that brought it
_HEADERS = ((b"content-type", b"application/json"), (b"cache-control", b"no-store"))


class SourceUnknown(NotFound):
    """No such source of webhooks."""

    reason = "SOURCE_UNKNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no webhook source {name!r}", metadata={"source": name})


class NotAnswered(Unavailable):
    """The service did not say in time whether it stored the deliveries: their senders must try again."""

    reason = "WEBHOOKS_NOT_ANSWERED"


class NoRoom(Unavailable):
    """More is waiting to be stored than may wait, or than fits into memory."""

    reason = "TOO_MANY_WAITING"


class Intake:
    """Takes deliveries in and hands them to the webhooks service. `aclose` waits until all are answered."""

    def __init__(self, stub: rpc.WebhooksServiceStub, clock: Clock, tracer: Tracer) -> None:
        self._stub = stub
        self._clock = clock
        self._tracer = tracer
        self._waiting_bytes = 0
        self._batcher: Batcher[_Asked, pb.DeliveryOutcome] = Batcher(
            self._ingest, max_items=MAX_BATCH, max_waiting=MAX_WAITING, shared_out=True
        )

    async def aclose(self) -> None:
        """Take nothing more, and return when everything that waits is answered."""
        await self._batcher.aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The endpoint: 202 once the delivery is stored, 200 where its sender wants a challenge back.

        Raises what the service says, and BodyTooLarge.
        """
        source: str = scope["path_params"]["source"]
        url_secret: str = scope["path_params"].get("secret", "")
        if not (_SOURCE.fullmatch(source) and _URL_SECRET.fullmatch(url_secret)):
            raise SourceUnknown(source)
        body = await read_body(Headers(scope=scope), receive)
        await _answer(await self._submit(self._delivery(scope, body, source, url_secret)), send)

    def _delivery(self, scope: Scope, body: bytes, source: str, url_secret: str) -> pb.Delivery:
        now = self._clock.now()
        return pb.Delivery(
            source=source,
            headers=_headers(scope["headers"]),
            body=body,
            receive_time=Timestamp(seconds=int(now.timestamp()), nanos=1000 * now.microsecond),
            remote_address=scope["client"][0][:_LONGEST_ADDRESS] if scope["client"] else "",
            url_secret=url_secret,
        )

    async def _submit(self, delivery: pb.Delivery) -> pb.DeliveryOutcome:
        size = delivery.ByteSize()
        if self._waiting_bytes + size > MAX_WAITING_BYTES:
            raise NoRoom(f"{MAX_WAITING_BYTES} bytes of webhooks wait to be stored", retry_after=_RETRY_AFTER)
        self._waiting_bytes += size
        try:
            return await self._batcher.submit((delivery, correlation.trace.get()))
        except ResourceExhausted as error:  # never the sender's fault
            raise NoRoom(error.message, retry_after=error.retry_after) from error
        finally:
            self._waiting_bytes -= size

    async def _ingest(self, asked: Sequence[_Asked]) -> list[pb.DeliveryOutcome | AppError]:
        answers: list[pb.DeliveryOutcome | AppError] = []
        with self._span(recorded(self._tracer, (trace for _, trace in asked))) as span:
            span.set("deliveries", len(asked))
            for some in _calls([delivery for delivery, _ in asked]):
                answers.extend(await self._call(some))
        return answers

    def _span(self, requests: Sequence[Trace]) -> AbstractContextManager[Span]:
        """Below none of them: what is logged of one delivery must not seem to be of another's request."""
        return self._tracer.span("webhook deliveries", links=requests, attributes={}) if requests else UNRECORDED

    async def _call(self, deliveries: Sequence[pb.Delivery]) -> Sequence[pb.DeliveryOutcome | AppError]:
        """One call; when it fails, all its deliveries fail, but not those that an earlier call has stored."""
        try:
            response = await self._stub.IngestDeliveries(pb.IngestDeliveriesRequest(deliveries=deliveries))
        except DeadlineExceeded:  # they may be stored: senders know 503 better than 504
            error = NotAnswered("the webhooks service did not answer in time", retry_after=_RETRY_AFTER)
            return [error] * len(deliveries)
        except AppError as error:
            return [error] * len(deliveries)
        if len(response.outcomes) != len(deliveries):
            return [Internal(f"{len(deliveries)} deliveries, {len(response.outcomes)} outcomes")] * len(deliveries)
        return [_result(outcome) for outcome in response.outcomes]


def _headers(sent: Iterable[tuple[bytes, bytes]]) -> list[pb.Header]:
    """What was sent, and under which id we speak of it."""
    headers = [pb.Header(name=name.decode("latin-1"), value=value.decode("latin-1")) for name, value in sent]
    if all(header.name != _REQUEST_ID for header in headers):
        headers.append(pb.Header(name=_REQUEST_ID, value=correlation.request_id.get() or ""))
    return headers


async def _answer(outcome: pb.DeliveryOutcome, send: Send) -> None:
    status, answer = 202, {"eventId": outcome.event_id, "duplicate": outcome.duplicate}
    if outcome.challenge:
        status, answer = 200, {"challenge": outcome.challenge}
    body = jsontext.dumps(answer)
    headers = [*_HEADERS, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _result(outcome: pb.DeliveryOutcome) -> pb.DeliveryOutcome | AppError:
    return from_status(outcome.status) if outcome.status.code else outcome


def _calls(deliveries: Sequence[pb.Delivery]) -> Iterator[list[pb.Delivery]]:
    """The deliveries in their order, in lists that a call can carry."""
    some: list[pb.Delivery] = []
    size = 0
    for delivery in deliveries:
        if some and size + delivery.ByteSize() > MAX_CALL:
            yield some
            some, size = [], 0
        some.append(delivery)
        size += delivery.ByteSize()
    yield some
