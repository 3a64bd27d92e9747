"""Where others are that we ask, and how things are to be kept: the settings in the words of the domain."""

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path


class LibraryOwner(StrEnum):
    """Who puts albums into the library, and so names their folders and files."""

    LOCKGROOVE = "LOCKGROOVE"
    LIDARR = "LIDARR"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlskdAddress:
    """Where slskd is (URL base included), the key it asks for, and where its downloads are for us, if we see them."""

    url: str
    api_key: str = field(repr=False)
    download_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicBrainzAddress:
    """Where MusicBrainz is, and how its operators reach whoever runs this suite: they demand it.

    Its answers are kept for `cache_ttl`, None for as long as usual.
    """

    url: str
    contact: str
    cache_ttl: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LastfmAddress:
    """Where Last.fm is, and the key it asks for. Its answers are kept for `cache_ttl`, None for as long as usual."""

    url: str
    api_key: str = field(repr=False)
    cache_ttl: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The folder that is shared on Soulseek (None: nothing is), and how many files others may fetch at once.

    What is in a `private` folder is never shared.
    """

    folder: Path | None = None
    upload_slots: int = 2
    private: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """The formats that are taken, best first, the lowest bit rate of a lossy file in kbit/s, and partial albums."""

    formats: tuple[str, ...] = ("flac", "wav", "aiff", "m4a", "opus", "ogg", "mp3")
    minimum_bitrate: int = 128
    allow_partial: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many days acquisitions and batches that ended are kept."""

    acquisitions: int = 30
    batches: int = 60
