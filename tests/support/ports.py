"""Free ports on loopback, below the ephemeral range, so that nobody is given them meanwhile."""

import random
import socket
from contextlib import closing

METRICS_OFFSET = 1000  # a service serves its metrics so many ports above its own

_random = random.SystemRandom()


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of 127.0.0.1."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """So many different ports, each free together with its metrics port."""
    ports: set[int] = set()
    while len(ports) < count:
        port = _random.randrange(10_000, 30_000)
        if is_free(port) and is_free(port + METRICS_OFFSET):
            ports.add(port)
    return sorted(ports)
