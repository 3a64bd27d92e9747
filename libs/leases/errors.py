"""Why a lease is not yours."""

from libs.errors import Conflict, FailedPrecondition


class LeaseHeld(Conflict):
    """Somebody else holds it; `retry_after` is what remains of it, plus jitter."""

    reason = "LEASE_HELD"


class LeaseLost(FailedPrecondition):
    """It has expired or was taken over: stop at once, and write nothing more under its fence."""

    reason = "LEASE_LOST"
