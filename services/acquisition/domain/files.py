"""A verified file in the library."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFile:
    """Where it lies, its size in bytes, and its SHA-256 in hexadecimal where we imported it ourselves."""

    path: str
    size: int
    sha256: str = ""
