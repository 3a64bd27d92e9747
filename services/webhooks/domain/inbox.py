"""The inbox: takes deliveries in, and answers for each only after it is on disk."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from libs.errors import AppError, Internal, ResourceExhausted, Unavailable
from services.webhooks.domain.delivery import Delivery, redacted
from services.webhooks.domain.document import UnreadableBody
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.source import Description, Source, UnknownSource
from services.webhooks.domain.verification.refusal import CredentialRefused, SecretNotSet
from services.webhooks.domain.verification.scheme import Credentials

RETRY_AFTER = timedelta(seconds=1)
DISABLED = "the source is disabled"

_UNPROVEN = UnknownSource, CredentialRefused, SecretNotSet


class NotStored(Unavailable):
    """There is no room now: the sender may try again. It is never told that the delivery itself was wrong."""

    reason = "NOT_STORED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A source with the secrets that are valid now."""

    source: Source
    credentials: Credentials


class Sources(Protocol):
    """The sources as they are known here now."""

    def get(self, name: str) -> Listed:
        """The source of this name; raises UnknownSource, or Unavailable while its secrets are not known."""
        ...

    async def refresh(self) -> bool:
        """Look whether anything has changed since they were read; returns whether it had. Raises Unavailable."""
        ...


class Admission(Protocol):
    """Where new events are stored together."""

    async def submit(self, item: NewEvent) -> Receipt:
        """Store one event, in a commit shared with others; returns after it. Raises AppError."""
        ...


class IngestLog(Protocol):
    """Who counts what came in."""

    def stored(self, source: Source, event: NewEvent, receipt: Receipt, seconds: float) -> None:
        """A delivery was stored, so many seconds after it came."""
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
        sources: Sources,
        *,
        ready: Callable[[], Awaitable[None]],
        log: IngestLog,
        new_id: Callable[[], str],
    ) -> None:
        self._admission = admission
        self._sources = sources
        self._ready = ready
        self._log = log
        self._new_id = new_id

    async def ingest(self, deliveries: Sequence[Delivery]) -> list[Receipt | AppError]:
        """What became of each delivery, in order: one that is refused, or breaks the store, takes no other with it."""
        results = await asyncio.gather(*map(self._store, deliveries), return_exceptions=True)
        return [self._outcome(delivery, result) for delivery, result in zip(deliveries, results, strict=True)]

    async def backfill(self, events: Sequence[NewEvent]) -> list[Receipt]:
        """Store what was found in a sender's own records, behind the same door. Raises AppError."""
        return list(await asyncio.gather(*(self._admission.submit(self._obeying(event)) for event in events)))

    def _obeying(self, event: NewEvent) -> NewEvent:
        """What comes from a disabled source is kept, however it comes."""
        return replace(event, ignored=DISABLED) if self._sources.get(event.source).source.disabled else event

    async def standing(self, name: str) -> Standing:
        """Whether deliveries of a source would be taken in now; raises UnknownSource, also for a concealed one."""
        try:
            listed = await self._listed(name)
        except Unavailable:
            return Standing(ready=False, credential_required=True)
        try:
            await self._ready()
        except Unavailable:
            return Standing(ready=False, credential_required=listed.credentials.required)
        return Standing(ready=True, credential_required=listed.credentials.required)

    async def _listed(self, name: str) -> Listed:
        try:
            return self._shown(name)
        except UnknownSource:
            await self._sources.refresh()
        return self._shown(name)

    def _shown(self, name: str) -> Listed:
        """A source that is not concealed: one that is looks like none, also in the time that it takes."""
        listed = self._sources.get(name)
        if listed.source.verification.concealed:
            raise UnknownSource(name)
        return listed

    async def _store(self, delivery: Delivery) -> Receipt:
        started = time.monotonic()
        source = await self._verified(delivery)
        description = source.describe(delivery)
        if source.json_required and description.unreadable:
            raise UnreadableBody(description.unreadable)
        event = self._event(source, delivery, description)
        receipt = await self._admission.submit(event)
        self._log.stored(source, event, receipt, time.monotonic() - started)
        return replace(receipt, challenge=description.challenge) if description.challenge else receipt

    async def _verified(self, delivery: Delivery) -> Source:
        """The source that proved itself; one that cannot may have been changed a moment ago, by another replica."""
        try:
            return self._verify(delivery)
        except _UNPROVEN:
            if not await self._sources.refresh():
                raise
        return self._verify(delivery)

    def _verify(self, delivery: Delivery) -> Source:
        listed = self._sources.get(delivery.source)
        scheme = listed.source.verification
        if bool(delivery.url_secret) != scheme.concealed:
            raise UnknownSource(delivery.source)
        try:
            scheme.verify(delivery, listed.credentials)
        except CredentialRefused as error:
            if scheme.concealed:
                raise UnknownSource(delivery.source) from error
            raise
        return listed.source

    def _outcome(self, delivery: Delivery, result: Receipt | BaseException) -> Receipt | AppError:
        if isinstance(result, Receipt):
            return result
        error = _fact(result)
        self._log.refused(delivery, error)
        return error

    def _event(self, source: Source, delivery: Delivery, description: Description) -> NewEvent:
        return NewEvent(
            id=self._new_id(),
            source=source.name,
            type=description.type,
            key=description.key,
            headers=redacted(delivery.headers, secret=source.verification.secret_headers),
            body=delivery.body,
            received_at=delivery.received_at,
            order_key=description.order_key,
            facts=description.facts,
            ignored=DISABLED if source.disabled else "",
        )


def _fact(error: BaseException) -> AppError:
    if isinstance(error, ResourceExhausted):
        return NotStored(error.message, reason=error.code_reason, retry_after=error.retry_after)
    if isinstance(error, asyncio.CancelledError):
        return NotStored("shutting down", retry_after=RETRY_AFTER)
    return error if isinstance(error, AppError) else Internal(repr(error))
