"""Something that Lidarr did, as the webhooks service tells it: a hint to look, never a proof."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FactKind(StrEnum):
    """What Lidarr did."""

    GRABBED = "GRABBED"
    IMPORTED = "IMPORTED"
    DOWNLOAD_FAILED = "DOWNLOAD_FAILED"
    IMPORT_FAILED = "IMPORT_FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrFact:
    """What Lidarr did, and to what, as far as its webhook says; `event_id` makes telling it twice harmless."""

    event_id: str
    kind: FactKind
    album_ids: tuple[int, ...] = ()
    release_group_mbids: tuple[str, ...] = ()
    download_id: str = ""
    download_client: str = ""

    def to_json(self) -> dict[str, Any]:
        """The fact as a signal to the steps that wait for it."""
        return {"kind": self.kind, "download_id": self.download_id, "download_client": self.download_client}
