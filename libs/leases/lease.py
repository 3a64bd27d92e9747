"""A named lease with its fencing token."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to do what only one may do, until `expires_at` by the database's clock.

    `fence` only grows, from holder to holder: whatever is written under the lease carries it, and a row refuses a fence
    below the one it has seen. `holder` is None for a lease that is free. `remaining` is what was left of it when it was
    read: who holds it counts with that on its own monotonic clock, from before it asked, and never with `expires_at`.
    """

    name: str
    holder: str | None
    fence: int
    expires_at: datetime
    remaining: timedelta = timedelta()


def new_holder() -> str:
    """A holder for one acquisition: two tasks that shared one would both hold the lease."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(6).hex()}"
