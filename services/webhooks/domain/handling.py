"""Handling: what each source's events do."""

from collections.abc import Mapping
from typing import Protocol

from libs.errors import (
    AppError,
    DeadlineExceeded,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from services.webhooks.domain import lidarr, slskd
from services.webhooks.domain.document import UnreadableBody, expects_json, read_document, read_json
from services.webhooks.domain.event import DeadReason, Event, Origin
from services.webhooks.domain.verdict import Failed, Hopeless, NobodyWaits, NothingToDo, Outage, TookEffect, Verdict

_OUTAGES = (
    Unavailable,
    DeadlineExceeded,
    ResourceExhausted,
    # These three mean that the suite is half upgraded or wrongly keyed: the event is not to blame.
    Unauthenticated,
    PermissionDenied,
    Unimplemented,
)


class Acquisitions(Protocol):
    """Who waits for what Lidarr does."""

    async def report(self, event_id: str, fact: lidarr.LidarrFact) -> tuple[str, ...]:
        """Tell a fact; the same event counts once however often it is told. Returns the acquisitions it reached."""
        ...


class Handler(Protocol):
    """What makes the events of one source take effect."""

    async def handle(self, event: Event) -> Verdict:
        """Let the event take effect; it may be called again for the same event. Raises AppError."""
        ...


class LidarrHandler:
    """Tells acquisitions what Lidarr did."""

    def __init__(self, acquisitions: Acquisitions) -> None:
        self._acquisitions = acquisitions

    async def handle(self, event: Event) -> Verdict:
        """Let the event take effect."""
        if event.told:
            found = event.origin is Origin.DELIVERY
            return TookEffect(note="already found in Lidarr's history" if found else "delivered meanwhile")
        fact = lidarr.read_fact(event.body)
        if fact is None:
            known = event.type in lidarr.QUIET_TYPES
            return NothingToDo(note="" if known else f"Lidarr sends a type that is not known here: {event.type}")
        reached = await self._acquisitions.report(event.id, fact)
        return TookEffect(acquisitions=reached) if reached else NobodyWaits()


class SlskdHandler:
    """Reads what slskd sends. Nobody is told: acquisitions look at slskd themselves, for failures send no event."""

    async def handle(self, event: Event) -> Verdict:
        """There is nothing to do."""
        read_document(event.body)
        if event.type in slskd.DOWNLOAD_TYPES:
            return TookEffect(note="a hint: acquisitions see their downloads in slskd themselves")
        return NothingToDo()


class ReadersHandler:
    """Keeps events of sources that nothing here acts on, for those who read them through the API."""

    async def handle(self, event: Event) -> Verdict:
        """It has done what it can once it can be read; some senders put several events into one list."""
        if expects_json(event.headers.get("content-type", ""), event.body):
            read_json(event.body)
        return TookEffect(note="kept for readers")


class Handling:
    """The handlers of some sources, and one for all others; turns what goes wrong into verdicts."""

    def __init__(self, handlers: Mapping[str, Handler], others: Handler | None = None) -> None:
        self._handlers = handlers
        self._others = others or ReadersHandler()

    async def handle(self, event: Event) -> Verdict:
        """The verdict of one try; raises nothing that a caller of ours could have caused."""
        try:
            return await self._handlers.get(event.source, self._others).handle(event)
        except UnreadableBody as error:
            return Hopeless(error=error.message, reason=DeadReason.UNREADABLE)
        except InvalidArgument as error:
            return Hopeless(error=f"refused: {error.message}", reason=DeadReason.REJECTED)
        except _OUTAGES as error:
            return Outage(error=error.message, retry_after=error.retry_after)
        except AppError as error:
            return Failed(error=error.message, retry_after=error.retry_after)
