"""Sources: who may deliver, how each proves itself, and what its deliveries say.

`lidarr` and `slskd` are always there; all others are configured at run time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from libs.errors import NotFound
from services.webhooks.domain import lidarr, place
from services.webhooks.domain.dedup import body_key, id_key, lidarr_key
from services.webhooks.domain.delivery import Delivery, printable
from services.webhooks.domain.document import Document, UnreadableBody, expects_json, read_document
from services.webhooks.domain.place import Place
from services.webhooks.domain.verification.plain import SharedSecret
from services.webhooks.domain.verification.scheme import Scheme

_MAX_TYPE = 100
_SLSKD_TYPES = frozenset(
    {
        "DownloadDirectoryComplete",
        "DownloadFileComplete",
        "Noop",
        "PrivateMessageReceived",
        "RoomMessageReceived",
        "SoulseekClientConnected",
        "SoulseekClientDisconnected",
        "UploadFileComplete",
    }
)


class UnknownSource(NotFound):
    """Nobody delivers under this name."""

    reason = "SOURCE_UNKNOWN"

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no webhook source {name!r}", metadata={"source": name})


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What a delivery says: two with the same `key` are one event, `unreadable` says what is wrong with the body.

    Events with the same `order_key` follow each other, `facts` are what the event tells, and `challenge` is what its
    sender wants back.
    """

    type: str
    key: str
    order_key: str | None = None
    facts: tuple[str, ...] = ()
    unreadable: str = ""
    challenge: str = ""


class Reading(Protocol):
    """How the deliveries of a source are read. Total: whatever was delivered has a description."""

    def describe(self, delivery: Delivery) -> Description:
        """What a proven delivery says."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One sender; `types` are the names it is known to give events."""

    name: str
    verification: Scheme
    reading: Reading
    types: frozenset[str] = frozenset()
    built_in: bool = False
    disabled: bool = False
    json_required: bool = False

    def describe(self, delivery: Delivery) -> Description:
        """What a delivery says; one that cannot be read has no type and is kept like any other."""
        return self.reading.describe(delivery)

    def label(self, event_type: str) -> str:
        """The type as a metric's label: `other` for what the source is not known to send."""
        return event_type if event_type in self.types else "other"


@dataclass(frozen=True, slots=True)
class LidarrReading:
    """Lidarr's own bodies."""

    def describe(self, delivery: Delivery) -> Description:
        """What a delivery of Lidarr says."""
        document, unreadable = _document(delivery)
        return Description(
            type=_type(document.get("eventType")),
            key=lidarr_key(delivery, document),
            order_key=lidarr.order_key(document),
            facts=lidarr.fact_keys(document),
            unreadable=unreadable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredReading:
    """Ids and types at configured places; first found, first taken. Last, the bytes of the body are the id."""

    ids: tuple[Place, ...]
    types: tuple[Place, ...]
    scheme: Scheme
    json_required: bool = False

    def describe(self, delivery: Delivery) -> Description:
        """What a delivery says at these places."""
        document, unreadable = _document(delivery)
        delivery_id = place.first(self.ids, delivery, document)
        return Description(
            type=_type(place.first(self.types, delivery, document)),
            key=id_key(delivery_id) if delivery_id else body_key(delivery),
            unreadable=unreadable if self.json_required or _claims_json(delivery) else "",
            challenge=self.scheme.conventions.challenge(document),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """A source as it is configured: `id_paths` and `type_path` come before what the scheme's senders agree on."""

    name: str
    verification: Scheme
    id_paths: tuple[str, ...] = ()
    type_path: str = ""
    json_required: bool = False
    disabled: bool = False


def configured(config: SourceConfig) -> Source:
    """The source of a configuration."""
    conventions = config.verification.conventions
    reading = ConfiguredReading(
        ids=(*map(place.place, config.id_paths), *conventions.ids),
        types=(place.place(config.type_path),) if config.type_path else conventions.types,
        scheme=config.verification,
        json_required=config.json_required,
    )
    return Source(
        name=config.name,
        verification=config.verification,
        reading=reading,
        disabled=config.disabled,
        json_required=config.json_required,
    )


def _document(delivery: Delivery) -> tuple[Document, str]:
    try:
        return read_document(delivery.body), ""
    except UnreadableBody as error:
        return {}, error.message


def _claims_json(delivery: Delivery) -> bool:
    return expects_json(next(iter(delivery.values("content-type")), ""), delivery.body)


def _type(named: object) -> str:
    return printable(named)[:_MAX_TYPE] if isinstance(named, str) else ""


_SHARED_SECRET = SharedSecret(header="x-webhook-secret")

LIDARR = Source(
    name="lidarr",
    verification=_SHARED_SECRET,
    reading=LidarrReading(),
    types=frozenset(lidarr.EVENT_TYPES),
    built_in=True,
)
SLSKD = Source(
    name="slskd",
    verification=_SHARED_SECRET,
    reading=ConfiguredReading(
        ids=(place.body("id"),), types=(place.body("type"),), scheme=_SHARED_SECRET, json_required=True
    ),
    types=_SLSKD_TYPES,
    built_in=True,
)
BUILT_IN: Mapping[str, Source] = {source.name: source for source in (LIDARR, SLSKD)}
