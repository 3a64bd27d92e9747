"""Answers made smaller for those who can unpack them: zstd or gzip, as `Accept-Encoding` prefers (RFC 9110, 12.5.3)."""

import asyncio
import gzip
from collections.abc import Callable, Mapping
from functools import lru_cache

import zstandard

from services.gateway.http.preferences import LONGEST, quality
from services.gateway.http.problems import NotAcceptable

SMALLEST = 1024  # bytes that are worth it

_IDENTITY = b"identity"
_GZIP_LEVEL = 5
_ZSTD_LEVEL = 3
_LARGE = 64 * 1024  # bytes that would keep everybody else waiting
_TEXTS = ("text/", "application/json", "application/x-ndjson", "application/yaml", "application/xml", "image/svg")


def _by_gzip(body: bytes) -> bytes:
    return gzip.compress(body, _GZIP_LEVEL, mtime=0)


def _by_zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)


_CODINGS: Mapping[bytes, Callable[[bytes], bytes]] = {b"zstd": _by_zstd, b"gzip": _by_gzip}  # the better one first


@lru_cache(256)
def is_compressible(media_type: bytes) -> bool:
    """Whether it is text: what is compressed already only grows."""
    kind = media_type.decode("latin-1").partition(";")[0].strip().lower()
    return kind.startswith(_TEXTS) or kind.endswith(("+json", "+xml", "/javascript"))


def coding_for(accepted: bytes, size_is_small: bool) -> bytes:
    """The coding that `Accept-Encoding` prefers, empty for none. Raises NotAcceptable when it forbids all."""
    return _coding_for(accepted[:LONGEST], size_is_small)


@lru_cache(256)
def _coding_for(accepted: bytes, size_is_small: bool) -> bytes:
    text = accepted.decode("latin-1").lower()
    wanted = {coding: quality(text, coding.decode(), "*") or 0.0 for coding in _CODINGS}
    plain = quality(text, _IDENTITY.decode(), "*")
    is_plain_allowed = plain is None or plain > 0
    best = max(_CODINGS, key=lambda coding: wanted[coding])
    if wanted[best] and not (is_plain_allowed and (size_is_small or wanted[best] < _named(text))):
        return best
    if not is_plain_allowed:
        raise NotAcceptable("answers come as they are, as gzip or as zstd, and Accept-Encoding admits none of them")
    return b""


def _named(text: str) -> float:
    """How much `identity` is wanted where it is named."""
    return quality(text, _IDENTITY.decode()) or 0.0


async def compressed(body: bytes, coding: bytes) -> bytes:
    """The body in a coding; what is large is done beside the loop."""
    compress = _CODINGS[coding]
    return await asyncio.to_thread(compress, body) if len(body) > _LARGE else compress(body)
