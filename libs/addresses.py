"""What it means that nothing can listen on an address."""

from libs.errors import FailedPrecondition


class AddressTaken(FailedPrecondition):
    """Nothing can listen on the address: somebody else does, or it is not an address of this machine."""

    reason = "ADDRESS_TAKEN"

    def __init__(self, address: str, *, advice: str = "") -> None:
        told = f"cannot listen on {address}: another program does, or it is not an address of this machine"
        super().__init__(f"{told}; {advice}" if advice else told, metadata={"address": address})
