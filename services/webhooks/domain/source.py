"""Sources: who may deliver, how each proves itself, and what makes two of its deliveries one event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from libs.errors import NotFound
from services.webhooks.domain import lidarr
from services.webhooks.domain.dedup import lidarr_key
from services.webhooks.domain.delivery import Delivery, printable
from services.webhooks.domain.document import Document, UnreadableBody, read_document
from services.webhooks.domain.verification import SharedSecret

_MAX_TYPE = 100


class UnknownSource(NotFound):
    """Nobody delivers under this name."""

    reason = "SOURCE_UNKNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no webhook source {name!r}", metadata={"source": name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One sender of JSON; `types` are the names it gives events, the closed set that metrics may use as labels."""

    name: str
    verification: SharedSecret
    type_field: str
    types: frozenset[str]
    key_of: Callable[[Delivery, Document], str]

    def describe(self, delivery: Delivery) -> tuple[str, str]:
        """Type and dedup key of a delivery; an unreadable body has the empty type and is kept like any other."""
        try:
            document = read_document(delivery.body)
        except UnreadableBody:
            document = {}
        named = document.get(self.type_field)
        return printable(named)[:_MAX_TYPE] if isinstance(named, str) else "", self.key_of(delivery, document)

    def label(self, event_type: str) -> str:
        """The type as a metric's label: `other` for what the source is not known to send."""
        return event_type if event_type in self.types else "other"


LIDARR = Source(
    name="lidarr",
    verification=SharedSecret(header="x-webhook-secret"),
    type_field="eventType",
    types=frozenset(lidarr.EVENT_TYPES),
    key_of=lidarr_key,
)
SOURCES: Mapping[str, Source] = {source.name: source for source in (LIDARR,)}


def get_source(name: str) -> Source:
    """The source of this name; raises UnknownSource."""
    source = SOURCES.get(name)
    if source is None:
        raise UnknownSource(name)
    return source
