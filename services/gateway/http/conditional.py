"""Whether the caller has it already: `ETag` and `If-None-Match` on answers, `If-Match` on changes (RFC 9110, 13).

A resource's own etag says which of its versions is meant, not which bytes: the progress of a download moves on within
one version. So the `ETag` of an answer is that etag and a digest of the bytes, `W/"7~3f81c0a2b4d5e6f7"`, and `If-Match`
takes it with the digest or without.
"""

import re
from hashlib import blake2b

_DIGEST = 8  # bytes
_ETAG = re.compile(r'(?:W/)?"(.*?)(?:~[0-9a-f]{16})?"', re.ASCII)


def etag_of(body: bytes, version: str = "") -> bytes:
    """The entity tag of an answer whose resource has the etag `version`, or none; weak: it is the same compressed."""
    digest = blake2b(body, digest_size=_DIGEST).hexdigest()
    own = version.strip('"')
    return f'W/"{own}~{digest}"'.encode("latin-1") if own else f'W/"{digest}"'.encode()


def has_already(if_none_match: bytes, etag: bytes) -> bool:
    """Whether `If-None-Match` names the entity tag, or any (RFC 9110, 13.1.2: the weak comparison)."""
    if if_none_match.strip() == b"*":
        return True
    opaque = etag.removeprefix(b"W/")
    return any(each.strip().removeprefix(b"W/") == opaque for each in if_none_match.split(b","))


def version_of(if_match: str) -> str:
    """The etag of a resource in an `If-Match`; empty for `*`, and as it was sent where it is no entity tag."""
    sent = if_match.strip()
    if sent == "*":
        return ""
    match = _ETAG.fullmatch(sent)
    return f'"{match[1]}"' if match else sent
