"""Events between the domain and the protos."""

from collections.abc import Iterable
from datetime import UTC

from google.protobuf.duration_pb2 import Duration
from lockgroove.webhooks.v1 import webhooks_pb2 as pb

from libs.errors import AppError, InvalidArgument
from libs.rpc.errors import to_status
from libs.rpc.timestamps import timestamp
from services.webhooks.domain.catalogue import Attempt, Query
from services.webhooks.domain.delivery import Delivery, Header
from services.webhooks.domain.event import Event, Receipt

_COLLECTION = "events/"


def event_id(name: str, *, field: str = "name") -> str:
    """The id in `events/{event}`; raises InvalidArgument, which names the field."""
    if not name.startswith(_COLLECTION):
        raise InvalidArgument.field(field, "must be events/{event}")
    return name.removeprefix(_COLLECTION)


def event_to_pb(event: Event) -> pb.Event:
    """The event as callers see it."""
    progress = event.progress
    return pb.Event(
        name=f"{_COLLECTION}{event.id}",
        source=event.source,
        type=event.type,
        state=pb.Event.State.Value(event.state),
        acquisitions=progress.acquisitions,
        attempt_count=progress.tries,
        duplicate_count=event.duplicates,
        error=progress.error,
        next_attempt_time=timestamp(event.next_attempt_at),
        headers=event.headers,
        body=event.body,
        body_size_bytes=event.body_size,
        receive_time=timestamp(event.received_at),
        update_time=timestamp(event.updated_at),
        etag=event.etag,
        reason=event.reason or "",
        origin=pb.Event.Origin.Value(event.origin),
        conflicting_event=f"{_COLLECTION}{event.conflicting_event}" if event.conflicting_event else "",
        body_sha256=event.body_sha256,
    )


def attempt_to_pb(attempt: Attempt) -> pb.EventAttempt:
    """One try as callers see it."""
    duration = Duration()
    duration.FromTimedelta(attempt.duration)
    return pb.EventAttempt(
        number=attempt.number,
        to_state=attempt.to_state,
        error=attempt.error,
        reason=attempt.reason or "",
        duration=duration,
        actor=attempt.actor,
        end_time=timestamp(attempt.ended_at),
    )


def query_from_pb(request: pb.ListEventsRequest) -> Query:
    """Which events a caller wants."""
    return Query(
        filter=request.filter,
        search=request.search,
        order_by=request.order_by,
        page_size=request.page_size,
        page_token=request.page_token,
    )


def deliveries_from_pb(deliveries: Iterable[pb.Delivery]) -> list[Delivery]:
    """The deliveries of a request, in order."""
    return [_delivery(delivery) for delivery in deliveries]


def outcome_to_pb(outcome: Receipt | AppError) -> pb.DeliveryOutcome:
    """What became of one delivery."""
    if isinstance(outcome, AppError):
        return pb.DeliveryOutcome(status=to_status(outcome))
    stored = pb.DeliveryOutcome(event_id=outcome.event_id, duplicate=outcome.duplicate, challenge=outcome.challenge)
    stored.status.SetInParent()  # OK
    return stored


def _delivery(delivery: pb.Delivery) -> Delivery:
    return Delivery(
        source=delivery.source,
        headers=tuple(Header(name=header.name.lower(), value=header.value) for header in delivery.headers),
        body=delivery.body,
        received_at=delivery.receive_time.ToDatetime(UTC),
        remote_address=delivery.remote_address,
        url_secret=delivery.url_secret,
    )
