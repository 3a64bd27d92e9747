"""What proxies write into headers, read: `X-Forwarded-*` and `Forwarded` (RFC 7239)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

FORWARDED = b"forwarded"
FOR = b"x-forwarded-for"
PROTO = b"x-forwarded-proto"
HOST = b"x-forwarded-host"

_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)\s*', re.ASCII)
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[\w.-]+)?|([0-9.]+)(?::[\w.-]+)?|([0-9A-Fa-f:.]+)", re.ASCII)
_AUTHORITY = re.compile(r"(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)
_LONGEST_AUTHORITY = 261  # a name of 255 characters and a port
_LONGEST = 1024  # characters of `Forwarded`: what is not closed in it is looked for again and again
_MOST_HOPS = 50

Told = Mapping[bytes, str]  # header to value; of one that came in several lines, all, with commas between


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What one proxy says of the request that it got. What is empty it did not say, or not so that it can be read."""

    address: str = ""
    scheme: str = ""
    host: str = ""


def hops(told: Told) -> Sequence[Hop]:
    """What the proxies on the way said, the last one at the end.

    `Forwarded` counts only where there is no `X-Forwarded-*`: most proxies write those, and hand on the other one as
    it came.
    """
    if FOR in told or PROTO in told or HOST in told:
        return _by_lists(_listed(told, FOR), _listed(told, PROTO), _listed(told, HOST))
    if len(told.get(FORWARDED, "")) > _LONGEST:
        return ()
    return [_by_pairs(element) for element in _listed(told, FORWARDED)]


def address_of(node: str) -> str:
    """The address in `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7` or `[2001:db8::7]:4711`; empty for all else."""
    match = _NODE.fullmatch(node)
    try:
        return plain(match[1] or match[2] or match[3]) if match else ""
    except ValueError:
        return ""


def plain(address: str) -> str:
    """An address as it is compared: what IPv6 makes of IPv4 is IPv4 again. Raises ValueError."""
    parsed = ip_address(address)
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


def is_authority(text: str) -> bool:
    """Whether a text is a host, perhaps with a port."""
    return len(text) <= _LONGEST_AUTHORITY and _AUTHORITY.fullmatch(text) is not None


def _by_lists(addresses: Sequence[str], schemes: Sequence[str], hosts: Sequence[str]) -> Sequence[Hop]:
    """One hop for each address. Proxies that write a header anew leave a shorter list: its first value counts on."""
    count = max(len(addresses), 1)
    return [
        Hop(
            address=address_of(addresses[-back]) if back <= len(addresses) else "",
            scheme=_from_right(schemes, back).lower(),
            host=_from_right(hosts, back),
        )
        for back in range(count, 0, -1)
    ]


def _from_right(values: Sequence[str], back: int) -> str:
    return values[-min(back, len(values))] if values else ""


def _by_pairs(element: str) -> Hop:
    """An element of `Forwarded`; one that is written wrongly says nothing at all."""
    pairs: dict[str, str] = {}
    for text in _split(element, ";"):
        match = _PAIR.fullmatch(text)
        if match is None or match[1].lower() in pairs:
            return Hop()
        pairs[match[1].lower()] = _unquoted(match[2])
    return Hop(
        address=address_of(pairs.get("for", "")), scheme=pairs.get("proto", "").lower(), host=pairs.get("host", "")
    )


def _listed(told: Told, name: bytes) -> Sequence[str]:
    text = told.get(name, "")
    return [each.strip() for each in _split(text, ",")][-_MOST_HOPS:] if text else ()


def _split(text: str, separator: str) -> list[str]:
    """The parts of a text, where separators within quotes separate nothing."""
    if '"' not in text:
        return text.split(separator)
    return re.findall(rf'(?:[^"{separator}]|"(?:[^"\\]|\\.)*"|")+', text)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
