"""Identifiers: `acq-06e1v8...`, sortable by the time they were made, valid as AIP-122 resource ids."""

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_LENGTH = 26  # characters for 128 bits


def new(prefix: str) -> str:
    """A new id: the prefix, then a UUIDv7 (RFC 9562) in base 32; ids made later sort later (to the millisecond)."""
    return f"{prefix}-{_base32(_uuid7())}"


def _uuid7() -> int:
    random = int.from_bytes(os.urandom(10))
    milliseconds = time.time_ns() // 1_000_000
    upper, lower = random >> 62 & 0xFFF, random & (1 << 62) - 1
    return milliseconds << 80 | 0x7 << 76 | upper << 64 | 0b10 << 62 | lower


def _base32(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
