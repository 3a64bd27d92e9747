"""Addresses to listen on, and what it means that nothing can."""

from ipaddress import ip_address

from libs.errors import FailedPrecondition, InvalidArgument

_HIGHEST_PORT = 65535


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
