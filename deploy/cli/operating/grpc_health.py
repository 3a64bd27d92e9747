"""Asks one service for its health, as probes of Kubernetes do."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # that nobody answers is what we came to find out

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped] # has no types

from libs.rpc.client import bare_channel
from libs.rpc.tls import open_certificates
from libs.rpc.tlsfiles import TlsFiles


def serving_status(target: str, environment: Mapping[str, str], limit: float) -> str | None:
    """SERVING, NOT_SERVING or what else it says; None where nobody answers within `limit` seconds.

    Raises AppError for certificates that cannot be used.
    """
    return asyncio.run(_ask(target, environment, limit))


async def _ask(target: str, environment: Mapping[str, str], limit: float) -> str | None:
    certificates = open_certificates(TlsFiles.named(environment))
    channel = bare_channel(target, [("grpc.enable_http_proxy", 0)], certificates=certificates)
    check: Any = health_pb2_grpc.HealthStub(channel).Check
    try:
        answer = await check(health_pb2.HealthCheckRequest(), timeout=limit)
    except grpc.aio.AioRpcError:
        return None
    finally:
        await channel.close()
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
