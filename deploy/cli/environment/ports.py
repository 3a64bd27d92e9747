"""The ports are free, or our own suite answers there."""

import asyncio
import errno
import socket
from contextlib import closing

from deploy.cli.environment.finding import Environment, Finding, error
from deploy.cli.environment.processes import listening
from libs.addresses import host_and_port
from libs.telemetry.exposition import metrics_address
from services.gateway.settings import Settings as GatewaySettings

_WITHIN = 3.0  # seconds for an answer
_LONGEST = 1 << 16  # bytes of an answer that are read
_OURS = {"/api/live": b'"alive"', "/metrics": b"lockgroove_"}


async def ports(environment: Environment) -> list[Finding]:
    """Those that another program holds, or that this user may not take."""
    gateway = GatewaySettings.from_environment(environment)
    answering = [("LOCKGROOVE_PORT", (gateway.host, gateway.port), (gateway.host, gateway.port), "/api/live")]
    for name, address in listening(environment).items():
        metrics = metrics_address(address)
        answering.append((name, host_and_port(address), metrics, "/metrics"))
        answering.append((name, metrics, metrics, "/metrics"))
    found = await asyncio.gather(*(_port(*each) for each in answering))
    return [finding for finding in found if finding]


async def _port(name: str, wanted: tuple[str, int], asked: tuple[str, int], path: str) -> Finding | None:
    fault = _fault(*wanted)
    if fault == errno.EACCES:
        return error(name, f"this user may not listen on port {wanted[1]}: take one above 1023")
    if fault == errno.EADDRINUSE and not await _is_ours(*asked, path):
        return error(name, f"another program listens on {wanted[0]}:{wanted[1]}: stop it, or take another port")
    return None


def _fault(host: str, port: int) -> int | None:
    """Why nobody can listen there; None also for an address of another machine, where that service may be."""
    bare = host.strip("[]")
    family = socket.AF_INET6 if ":" in bare else socket.AF_INET
    with closing(socket.socket(family)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bare, port))
        except OSError as fault:
            return fault.errno
    return None


async def _is_ours(host: str, port: int, path: str) -> bool:
    try:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(host.strip("[]"), port)
            with closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                answer = b""
                while len(answer) < _LONGEST and (piece := await reader.read(_LONGEST)):
                    answer += piece
    except (OSError, TimeoutError):
        return False
    return _OURS[path] in answer
