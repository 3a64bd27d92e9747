"""The health check of a container: whether the suite behind the gateway is ready, or else the named service.

`python -m deploy.container.healthcheck [config|webhooks|acquisition|gateway]`
"""

import os
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

TIMEOUT = 5.0  # seconds

_PORTS = {"acquisition": "50051", "webhooks": "50052", "config": "50053"}
_THIS_MACHINE = "127.0.0.1"
_NEVER_BY_PROXY = [("grpc.enable_http_proxy", 0)]  # engines put their own proxy into every container


def is_ready(environment: Mapping[str, str]) -> bool:
    """Whether the gateway says that all it needs is ready."""
    port = int(environment.get("LOCKGROOVE_PORT") or "3006")
    with suppress(OSError, HTTPException), closing(HTTPConnection(_THIS_MACHINE, port, timeout=TIMEOUT)) as connection:
        connection.request("GET", "/api/ready", headers={"Connection": "close"})
        with connection.getresponse() as response:
            return response.status == 200
    return False


def is_serving(service: str, environment: Mapping[str, str]) -> bool:
    """Whether the service says of itself, by grpc.health.v1, that it serves; over mutual TLS where that is set up."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

    listen = environment.get(f"LOCKGROOVE_{service.upper()}_LISTEN") or f":{_PORTS[service]}"
    with (
        suppress(grpc.RpcError, OSError),
        _channel(f"{_THIS_MACHINE}:{listen.rpartition(':')[2]}", environment) as channel,
    ):
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
    return False


def _channel(target: str, environment: Mapping[str, str]) -> "grpc.Channel":
    import grpc

    variables = ("LOCKGROOVE_TLS_CA_FILE", "LOCKGROOVE_TLS_KEY_FILE", "LOCKGROOVE_TLS_CERT_FILE")
    files = [Path(path) for name in variables if (path := environment.get(name))]
    if not files:
        return grpc.insecure_channel(target, _NEVER_BY_PROXY)
    credentials = grpc.ssl_channel_credentials(*(file.read_bytes() for file in files))
    name = environment.get("LOCKGROOVE_TLS_SERVER_NAME")
    named = [("grpc.ssl_target_name_override", name)] if name else []
    return grpc.secure_channel(target, credentials, [*_NEVER_BY_PROXY, *named])


def main(arguments: list[str], environment: Mapping[str, str]) -> int:
    """The exit status: 0 for healthy, as HEALTHCHECK has it."""
    service = arguments[0] if arguments else "gateway"
    if service not in (*_PORTS, "gateway"):
        sys.stderr.write(f"error: there is no service {service!r}\n")
        return 1
    healthy = is_ready(environment) if service == "gateway" else is_serving(service, environment)
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
