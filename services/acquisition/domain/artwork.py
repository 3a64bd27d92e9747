"""Cover art: which file of a folder it is, and whether what arrived is a picture at all.

Only the beginning of a picture is read, by rules of our own: nothing that a peer sends is decoded in this process.
JPEG: ITU-T T.81, annex B; PNG: W3C PNG, sections 5.2 and 11.2.2.
"""

from collections.abc import Sequence

from services.acquisition.domain import listings
from services.acquisition.domain.candidates import RemoteFile

MAX_BYTES = 10 << 20
MAX_PIXELS = 10_000  # of either side

_NAMES = ("cover", "front", "folder")  # best first
_FORMATS = {"jpg": "jpg", "jpeg": "jpg", "png": "png"}
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame: the segments that tell the size
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a segment


def cover_among(files: Sequence[RemoteFile]) -> RemoteFile | None:
    """The picture of the front among a folder's files, if its name says so and its size is a picture's."""
    fitting = [file for file in files if listings.extension(file.path) in _FORMATS and 0 < file.size <= MAX_BYTES]
    named = {listings.stem(file.path).casefold(): file for file in fitting}
    return next((named[name] for name in _NAMES if name in named), None)


def picture_format(content: bytes) -> str | None:
    """`jpg` or `png`, or None where the content is not a picture of a sensible size."""
    if content.startswith(_PNG):
        size = _png_size(content)
    elif content.startswith(_JPEG):
        size = _jpeg_size(content)
    else:
        return None
    if size is None or not all(0 < side <= MAX_PIXELS for side in size):
        return None
    return "png" if content.startswith(_PNG) else "jpg"


def _png_size(content: bytes) -> tuple[int, int] | None:
    if content[12:16] != b"IHDR" or len(content) < 33 or b"IEND" not in content[-12:]:
        return None
    return int.from_bytes(content[16:20]), int.from_bytes(content[20:24])


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """The sides in the first frame header; None where the segments before it lead nowhere, or the end is missing."""
    at = 2
    while content[at : at + 1] == b"\xff" and at + 9 < len(content):
        marker = content[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
        elif marker in _FRAMES:
            whole = b"\xff\xd9" in content[at:]
            return (
                (int.from_bytes(content[at + 7 : at + 9]), int.from_bytes(content[at + 5 : at + 7])) if whole else None
            )
        else:
            at += 2 + max(int.from_bytes(content[at + 2 : at + 4]), 2)
    return None
