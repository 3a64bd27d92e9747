"""Browsers that are signed in: their cookie, and whether a request that it came with is one that our pages made.

A browser sends the cookie along whoever makes it call. What changes something therefore needs the CSRF token of the
session, which other origins cannot read, and must come from a page of ours, or of an origin that the settings list.
"""

from collections.abc import Iterator

from lockgroove.config.v1 import config_pb2 as pb
from starlette.types import Scope

from libs.errors import PermissionDenied
from libs.rpc.sessions import Session, SessionSeal
from services.gateway.http.cors import OriginNotAllowed, origins

COOKIE = "lockgroove_session"
HOST_COOKIE = f"__Host-{COOKIE}"  # browsers keep it from TLS alone, and never from a neighbouring host (RFC 6265bis)
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110, 9.2.1

_TOKEN = b"x-csrf-token"
_FROM_HERE = frozenset({b"same-origin", b"none"})  # what browsers say of a page of ours, and of their user himself


class CsrfTokenInvalid(PermissionDenied):
    """The request came with the cookie of a session, but without what only our pages know of it."""

    reason = "CSRF_TOKEN_INVALID"


class Browsers:
    """Knows sessions by their cookies."""

    def __init__(self, seal: SessionSeal) -> None:
        self._seal = seal
        self._listed: frozenset[bytes] = frozenset()

    def follow(self, snapshot: pb.Snapshot) -> None:
        """Take over the settings of a snapshot."""
        self._listed = frozenset(origins(snapshot.settings.gateway.cors_origins))

    def session(self, credential: str) -> Session | None:
        """The session of a credential; None where it is none of ours."""
        return self._seal.opened(credential)

    def csrf_token(self, session_id: str) -> str:
        """What pages send with all that changes something."""
        return self._seal.csrf_token(session_id)

    def check(self, scope: Scope, session: Session) -> None:
        """Raises OriginNotAllowed or CsrfTokenInvalid for a request that one of our pages did not make."""
        if scope["method"] in SAFE:
            return
        self.check_origin(scope)
        sent = _header(scope, _TOKEN).decode("latin-1")
        if not self._seal.is_csrf_token(sent, session.id):
            raise CsrfTokenInvalid("X-CSRF-Token: send the csrfToken that GET /api/session tells")

    def check_origin(self, scope: Scope) -> None:
        """Raises OriginNotAllowed for a request that a page of another origin makes, unless the settings list it.

        Without `Sec-Fetch-Site` the host alone is compared: a proxy that nobody trusts may have changed the scheme.
        """
        origin, site = _header(scope, b"origin"), _header(scope, b"sec-fetch-site")
        if origin in self._listed:
            return
        from_here = site in _FROM_HERE if site else not origin or _is_of(origin, _header(scope, b"host"))
        if not from_here:
            raise OriginNotAllowed("pages of this origin may not do this: gateway.corsOrigins does not list it")


def cookie_name(scope: Scope) -> str:
    """What our cookie is called: over TLS, where the suite has the host to itself, no other host can set one like it.

    Else whoever runs a neighbour (`evil.example.org`) could sign this browser in as himself, and read what it sends.
    """
    return HOST_COOKIE if scope["scheme"] == "https" and not scope.get("root_path") else COOKIE


def cookies(header: str, name: str) -> Iterator[str]:
    """The credentials in a `Cookie` header, the one of the longest path first (RFC 6265, 5.4)."""
    for pair in header.split(";"):
        found, _, value = pair.strip().partition("=")
        if found == name and value:
            yield value


def _is_of(origin: bytes, host: bytes) -> bool:
    """Whether an origin, if it is one, is of this host; the port counts."""
    return origin.lower() in (b"http://" + host.lower(), b"https://" + host.lower())


def _header(scope: Scope, wanted: bytes) -> bytes:
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return b""
