"""Addresses to listen on, and what it means that nothing can."""

import re
from collections.abc import Mapping
from ipaddress import ip_address

from libs.errors import FailedPrecondition, InvalidArgument

_HIGHEST_PORT = 65535
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")
_TARGETS = "give host:port, or several IP addresses with their ports, separated by commas"


class NotAnAddress(InvalidArgument):
    """The text names no host, or no port."""

    reason = "NOT_AN_ADDRESS"


class AddressTaken(FailedPrecondition):
    """Nothing can listen on the address: somebody else does, or it is not an address of this machine."""

    reason = "ADDRESS_TAKEN"

    def __init__(self, address: str, *, advice: str = "") -> None:
        told = f"cannot listen on {address}: another program does, or it is not an address of this machine"
        super().__init__(f"{told}; {advice}" if advice else told, metadata={"address": address})


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of `host:port`; raises NotAnAddress."""
    host, _, port = address.rpartition(":")
    if host and port.isascii() and port.isdigit() and int(port) <= _HIGHEST_PORT:
        return host, int(port)
    raise NotAnAddress(f"{address!r} is not an address to listen on: expected host:port, such as 127.0.0.1:50051")


def target_of(environment: Mapping[str, str], service: str, listen: str) -> str:
    """Where others call a service: LOCKGROOVE_…_TARGET if it is given, else where it listens, by default on `listen`.

    Raises InvalidArgument for a target that is no `host:port`, or a list of anything but IP addresses of one family.
    """
    variable = f"LOCKGROOVE_{service.upper()}_TARGET"
    if not (target := environment.get(variable)):
        return environment.get(f"LOCKGROOVE_{service.upper()}_LISTEN") or listen
    try:
        hosts = [_host(each) for each in addresses_of(target) or [target]]
        families = {ip_address(host).version for host in hosts} if len(hosts) > 1 else {0}
    except ValueError as error:
        raise InvalidArgument.field(variable, f"{target!r} is not a list of IP addresses: {_TARGETS}") from error
    except NotAnAddress as error:
        raise InvalidArgument.field(variable, f"{target!r} is not an address: {_TARGETS}") from error
    if len(families) > 1:
        raise InvalidArgument.field(variable, f"{target!r} mixes IPv4 and IPv6: {_TARGETS}")
    return ",".join(addresses_of(target))


def addresses_of(target: str) -> list[str]:
    """The addresses of all replicas that a target names."""
    return [each.strip() for each in target.split(",") if each.strip()]


def is_loopback(address: str) -> bool:
    """Whether only programs of this machine reach what listens on `host:port`; False for a name that is not known."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def local_url(host: str, port: str) -> str:
    """The URL on this machine of what listens there: what listens everywhere also listens on loopback."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listened on
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _host(address: str) -> str:
    host, _ = host_and_port(address)
    if not _HOST.fullmatch(host):
        raise NotAnAddress(f"{host!r} is not a host")
    return host.strip("[]")
