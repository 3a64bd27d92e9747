"""Identifiers: `acq-06e1v8...`, sortable by the time they were made, valid as AIP-122 resource ids."""

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32
_LENGTH = 26  # characters for 128 bits


def new(prefix: str) -> str:
    """A new id: the prefix, then a UUIDv7 in base 32; of one process, ids made later sort later.

    The 12 bits behind the milliseconds count 4096ths of one (RFC 9562, section 6.2, method 3): that is shorter than it
    takes to make an id.
    """
    return f"{prefix}-{_base32(_uuid7())}"


def _uuid7() -> int:
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    chance = int.from_bytes(os.urandom(8)) & (1 << 62) - 1
    return milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | chance


def _base32(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
