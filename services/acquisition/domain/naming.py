"""Names in the library: `Artist/Album (Year)/NN Title.ext`, valid on ext4, NTFS and SMB, never leaving the library.

Names are built from what was asked for or verified, never from a peer's text. The rules for Windows are those of
"Naming Files, Paths, and Namespaces" (Microsoft Learn).
"""

import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from services.acquisition.domain.album import Track

MAX_BYTES = 255
"""The longest name of a file or folder on ext4, in bytes of UTF-8; NTFS then fits as well."""

_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\.|$)")
_REPLACED = str.maketrans(
    {"/": "-", "\\": "-", "|": "-", ":": "-", '"': "'", "*": None, "?": None, "<": None, ">": None}
)
_INVISIBLE = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
_JOINER = "\u200d"


def album_folder(artist: str, title: str, year: int | None) -> PurePosixPath:
    """`Artist/Album (Year)`, relative to the library; without a year, `Artist/Album`."""
    suffix = f" ({year})" if year else ""
    return PurePosixPath(
        safe_name(artist, fallback="Unknown Artist"), safe_name(title, suffix=suffix, fallback="Unknown Album")
    )


def track_name(track: Track, *, extension: str, several_discs: bool) -> str:
    """`NN Title.ext`, or `D-NN Title.ext` where the album has several discs; `extension` comes without its dot."""
    prefix = f"{track.disc}-{track.number:02}" if several_discs else f"{track.number:02}"
    return safe_name(f"{prefix} {track.title or f'Track {track.number}'}", suffix=f".{extension}", fallback=prefix)


def has_several_discs(tracks: Iterable[Track]) -> bool:
    """Whether file names need the disc."""
    return len({track.disc for track in tracks}) > 1


def safe_name(text: str, *, fallback: str, suffix: str = "") -> str:
    """One path component of at most `MAX_BYTES`: `text` made harmless and cut where needed, then `suffix` unchanged."""
    name = _trimmed(_visible(unicodedata.normalize("NFC", text)).replace(": ", " - ").translate(_REPLACED)) or fallback
    if match := _RESERVED.match(name + suffix):
        name = f"{name[: match.end(1)]}_{name[match.end(1) :]}"
    return _trimmed(_cut(name, MAX_BYTES - len(suffix.encode()))) + suffix


def _visible(text: str) -> str:
    """Without control characters, lone surrogates and marks that turn the direction of writing; every space is " "."""
    kept = (" " if char.isspace() else char for char in text)
    return "".join(char for char in kept if unicodedata.category(char) not in ("Cc", "Cs") and char not in _INVISIBLE)


def _trimmed(name: str) -> str:
    """Without dots and spaces at the ends (a leading dot hides a file, Windows drops trailing ones)."""
    return " ".join(name.split()).lstrip(". ").rstrip(". ")


def _cut(name: str, limit: int) -> str:
    """The longest beginning that fits and does not split what is drawn as one character."""
    encoded = name.encode()
    if len(encoded) <= limit:
        return name
    kept = encoded[:limit].decode(errors="ignore")
    while kept and (_continues(name[len(kept)]) or kept[-1] == _JOINER):
        kept = kept[:-1]
    return kept or encoded[:limit].decode(errors="ignore")


def _continues(char: str) -> bool:
    """Whether a character is drawn together with the one before it."""
    return unicodedata.category(char) in ("Mn", "Me", "Mc") or char == _JOINER or "\U0001f3fb" <= char <= "\U0001f3ff"
