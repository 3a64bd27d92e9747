"""The inbox: takes deliveries in, and answers for each only after it is on disk."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from libs.errors import AppError, Internal, ResourceExhausted, Unavailable
from services.webhooks.domain.delivery import Delivery, redacted
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.source import Source, get_source

RETRY_AFTER = timedelta(seconds=1)


class NotStored(Unavailable):
    """There is no room now: the sender may try again. It is never told that the delivery itself was wrong."""

    reason = "NOT_STORED"


class Secrets(Protocol):
    """The secrets of the sources, as the settings in force have them."""

    def of(self, source: str) -> Sequence[str]:
        """The secrets of a source, none where none is set; raises Unavailable while the settings are not known."""
        ...


class Admission(Protocol):
    """Where new events are stored together."""

    async def submit(self, item: NewEvent) -> Receipt:
        """Store one event, in a commit shared with others; returns after it. Raises AppError."""
        ...


class IngestLog(Protocol):
    """Who counts what came in."""

    def stored(self, source: Source, event: NewEvent, receipt: Receipt) -> None:
        """A delivery was stored."""
        ...

    def refused(self, delivery: Delivery, error: AppError) -> None:
        """A delivery was refused."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether a source may deliver now, and whether it needs a credential (else only this machine may deliver)."""

    ready: bool
    credential_required: bool


class Inbox:
    """Verifies, describes and stores deliveries."""

    def __init__(
        self,
        admission: Admission,
        secrets: Secrets,
        *,
        ready: Callable[[], Awaitable[None]],
        log: IngestLog,
        new_id: Callable[[], str],
    ) -> None:
        self._admission = admission
        self._secrets = secrets
        self._ready = ready
        self._log = log
        self._new_id = new_id

    async def ingest(self, deliveries: Sequence[Delivery]) -> list[Receipt | AppError]:
        """What became of each delivery, in order: one that is refused, or breaks the store, takes no other with it."""
        results = await asyncio.gather(*map(self._store, deliveries), return_exceptions=True)
        return [self._outcome(delivery, result) for delivery, result in zip(deliveries, results, strict=True)]

    async def standing(self, name: str) -> Standing:
        """Whether deliveries of a source would be taken in now; raises UnknownSource."""
        source = get_source(name)
        try:
            secrets = self._secrets.of(source.name)
        except Unavailable:
            return Standing(ready=False, credential_required=True)
        try:
            await self._ready()
        except Unavailable:
            return Standing(ready=False, credential_required=bool(secrets))
        return Standing(ready=True, credential_required=bool(secrets))

    async def _store(self, delivery: Delivery) -> Receipt:
        source = get_source(delivery.source)
        source.verification.verify(delivery, self._secrets.of(source.name))
        event = self._event(source, delivery)
        receipt = await self._admission.submit(event)
        self._log.stored(source, event, receipt)
        return receipt

    def _outcome(self, delivery: Delivery, result: Receipt | BaseException) -> Receipt | AppError:
        if isinstance(result, Receipt):
            return result
        error = _fact(result)
        self._log.refused(delivery, error)
        return error

    def _event(self, source: Source, delivery: Delivery) -> NewEvent:
        event_type, key = source.describe(delivery)
        return NewEvent(
            id=self._new_id(),
            source=source.name,
            type=event_type,
            key=key,
            headers=redacted(delivery.headers),
            body=delivery.body,
            received_at=delivery.received_at,
        )


def _fact(error: BaseException) -> AppError:
    if isinstance(error, ResourceExhausted):
        return NotStored(error.message, reason=error.code_reason, retry_after=error.retry_after)
    if isinstance(error, asyncio.CancelledError):
        return NotStored("shutting down", retry_after=RETRY_AFTER)
    return error if isinstance(error, AppError) else Internal(repr(error))
