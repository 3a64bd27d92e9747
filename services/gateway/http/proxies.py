"""Who is asked, and by whom, when proxies stand between: told by those only that the settings trust.

A proxy adds what it knows on the right, so lists are read from there: the first address that is not trusted is the
client. From anybody else such headers are worth nothing. They end here in any case: inner layers find `client`,
`scheme`, `root_path` (the base path) and the header `host` in the scope as the client sees them.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import unquote_to_bytes

from lockgroove.config.v1 import config_pb2 as pb
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.telemetry.logger import get_logger
from services.gateway.http import forwarded
from services.gateway.http.basepath import is_base_path
from services.gateway.http.forwarded import Hop, Told, hops, is_authority, plain

log = get_logger()

_PORT, _PREFIX = b"x-forwarded-port", b"x-forwarded-prefix"
_TELLING = frozenset({forwarded.FORWARDED, forwarded.FOR, forwarded.PROTO, forwarded.HOST, _PORT, _PREFIX})
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_LONGEST_PORT = 5
_REMEMBERED = 1024  # addresses


class Trusted:
    """The addresses of proxies that tell the truth."""

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, bool] = {}

    @classmethod
    def named(cls, text: str) -> "Trusted":
        """Those that a setting names; what is no address or network is logged, and trusts nobody."""
        networks = []
        for name in filter(None, map(str.strip, text.split(","))):
            try:
                networks.append(ip_network(name, strict=False))
            except ValueError:
                log.warning("proxies.not_an_address", setting="gateway.trustedProxies", text=name)
        return cls(networks)

    def __contains__(self, address: str) -> bool:
        found = self._known.get(address)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[address] = self._is_within(address)
        return found

    def _is_within(self, address: str) -> bool:
        with suppress(ValueError):
            parsed = ip_address(plain(address))
            return any(parsed in network for network in self._networks)
        return False


class Proxied:
    """The layer that undoes what proxies do. `base_path` is where the suite is found when no proxy says otherwise."""

    def __init__(self, app: ASGIApp, *, base_path: str = "") -> None:
        self._app = app
        self._base = base_path
        self._trusted = Trusted(())

    def follow(self, snapshot: pb.Snapshot) -> None:
        """Take over the settings of a snapshot."""
        self._trusted = Trusted.named(snapshot.settings.gateway.trusted_proxies)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        base = self._base
        for name, _ in scope["headers"]:
            if name in _TELLING:
                base = self._unwrap(scope) or base
                break
        if base:
            _strip(scope, base)
        await self._app(scope, receive, send)

    def _unwrap(self, scope: Scope) -> str:
        """Take what proxies say out of the headers, and over if it is true; the prefix that was taken off, if any."""
        told = _taken(scope)
        peer = scope["client"]
        if peer is None or peer[0] not in self._trusted:
            return ""
        seen = self._seen(hops(told))
        if seen.address:
            scope["client"] = (seen.address, 0)
        if seen.scheme in _DEFAULT_PORTS:
            scope["scheme"] = seen.scheme
        _set_host(scope, seen.host, told.get(_PORT, ""))
        prefix = told.get(_PREFIX, "").rstrip("/")
        return prefix if is_base_path(prefix) else ""

    def _seen(self, said: Sequence[Hop]) -> Hop:
        """The request as the outermost proxy saw it that is trusted."""
        seen = Hop()
        for hop in reversed(said):
            seen = replace(hop, address=hop.address or seen.address)
            if hop.address not in self._trusted:
                break
        return seen


def _taken(scope: Scope) -> Told:
    told: dict[bytes, str] = {}
    kept = []
    for name, value in scope["headers"]:
        if name in _TELLING:
            text = value.decode("latin-1").strip()
            told[name] = f"{told[name]},{text}" if name in told else text
        else:
            kept.append((name, value))
    scope["headers"] = kept
    return told


def _set_host(scope: Scope, host: str, port: str) -> None:
    """Put the host that the client asked into the headers, with its port where that is not the usual one."""
    headers = scope["headers"]
    given = next((value.decode("latin-1") for name, value in headers if name == b"host"), "")
    host = host if is_authority(host) else given
    is_port = port.isascii() and port.isdigit() and len(port) <= _LONGEST_PORT
    if is_port and not host.rpartition("]")[2].count(":") and port != _DEFAULT_PORTS.get(scope["scheme"]):
        host = f"{host}:{port}"
    if host != given:
        scope["headers"] = [(b"host", host.encode("latin-1")), *(each for each in headers if each[0] != b"host")]


def _strip(scope: Scope, base: str) -> None:
    """Take the base path off, where a proxy has not done so; it may be percent-encoded (RFC 3986, 6.2.2)."""
    steps = scope["raw_path"].split(b"/")
    count = base.count("/") + 1
    if unquote_to_bytes(b"/".join(steps[:count])) == base.encode():
        scope["raw_path"] = b"/" + b"/".join(steps[count:])
        scope["path"] = scope["path"][len(base) :] or "/"
    scope["root_path"] = base
