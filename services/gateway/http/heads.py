"""Heads that the parser lets pass, and that a proxy before us may read otherwise: they are refused (RFC 9112)."""

import re
from collections.abc import Iterable

from libs.errors import InvalidArgument, Unimplemented

_OLD = "1.0"
_VERSIONS = (_OLD, "1.1")
_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


class MalformedRequest(InvalidArgument):
    """What arrived is not HTTP, as it is served here."""

    reason = "MALFORMED_HTTP"


class UnknownCoding(Unimplemented):
    """The body is wrapped in a way that is not read here."""

    reason = "TRANSFER_CODING_UNKNOWN"


def check_head(version: str, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises MalformedRequest or UnknownCoding. The names of the headers are in lower case."""
    if version not in _VERSIONS:
        raise MalformedRequest("only HTTP/1.1 and HTTP/1.0 are spoken here")
    if method == b"CONNECT":
        raise MalformedRequest("this is no proxy: CONNECT leads nowhere")
    if b"#" in target:
        raise MalformedRequest("the target of a request has no fragment: write %23 for a #")
    hosts: list[bytes] = []
    codings: list[bytes] = []
    for name, value in headers:
        if name == b"host":
            hosts.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
    _check_host(version, hosts)
    if codings:
        _check_coding(version, codings)


def _check_host(version: str, hosts: list[bytes]) -> None:
    if len(hosts) > 1 or (not hosts and version != _OLD):
        raise MalformedRequest("a request has one header host")
    if hosts and not _HOST.fullmatch(hosts[0]):
        raise MalformedRequest("the header host holds no host")


def _check_coding(version: str, codings: list[bytes]) -> None:
    if version == _OLD:
        raise MalformedRequest("HTTP/1.0 has no transfer-encoding")
    if [coding.strip().lower() for coding in codings] != [b"chunked"]:
        raise UnknownCoding("the only transfer-encoding that is read here is chunked")
