"""What the pretended indexer and download client do with each album."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What becomes of one release of an album, once a search has found it."""

    SUCCESS = "success"  # downloaded and imported whole
    DOWNLOAD_FAILURE = "download-failure"  # the download client gives up
    IMPORT_FAILURE = "import-failure"  # downloaded, and no file of it is accepted
    IMPORT_BLOCKED = "import-blocked"  # downloaded, and a person has to say what it is
    PARTIAL_IMPORT = "partial-import"  # downloaded, and the last two tracks are not accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The releases that searches for an album find, one after the other; after the last, nothing is found any more.

    `webhooks_lost` drops every webhook about the album on its way; `names_download` is false for a download client that
    gives no download id (a blackhole folder).
    """

    outcomes: tuple[Outcome, ...] = (Outcome.SUCCESS,)
    download_seconds: float = 0.3
    webhooks_lost: bool = False
    names_download: bool = True


NO_RELEASE = Scenario(outcomes=())
