"""What it means that nothing can listen on an address."""

from libs.errors import FailedPrecondition


class AddressTaken(FailedPrecondition):
    """Nothing can listen on the address: somebody else does, or it is not an address of this machine."""

    reason = "ADDRESS_TAKEN"

    def __init__(self, address: str, *, advice: str = "") -> None:
        told = f"cannot listen on {address}: another program does, or it is not an address of this machine"
        super().__init__(f"{told}; {advice}" if advice else told, metadata={"address": address})


def local_url(host: str, port: str) -> str:
    """The URL on this machine of what listens there: what listens everywhere also listens on loopback."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not listened on
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"
