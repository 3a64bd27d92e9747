"""What stands between REST and the same service: our gateway as its users run it, Envoy, and FastAPI by hand."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.load import KEY
from tests.benchmarks.rest_backend import ROOT_KEY
from tests.benchmarks.systems import System, started
from tests.support.ports import free_ports
from tests.support.suite import suite_environment
from tests.support.waiting import eventually

_SERVICE = "lockgroove.acquisition.v1.AcquisitionService"


@asynccontextmanager
async def backend(home: Path) -> AsyncIterator[System]:
    """The service that all of them ask."""
    address = f"127.0.0.1:{free_ports(1)[0]}"
    command = ("-m", "tests.benchmarks.rest_backend", address)
    async with started(command, suite_environment(home, {}), home / "backend.log") as process:
        yield System(address=address, processes={"backend": process})


@asynccontextmanager
async def ours(home: Path, target: str) -> AsyncIterator[System]:
    """`python -m services.gateway`."""
    listens = {f"LOCKGROOVE_{name}_LISTEN": target for name in ("ACQUISITION", "WEBHOOKS", "CONFIG")}
    environment = suite_environment(home, {**listens, "LOCKGROOVE_SECRET_KEY": ROOT_KEY})
    async with started(("-m", "services.gateway"), environment, home / "gateway.log") as process:
        yield await _ready(System(address=f"127.0.0.1:{environment['LOCKGROOVE_PORT']}", processes={"edge": process}))


@asynccontextmanager
async def fastapi(home: Path, target: str) -> AsyncIterator[System]:
    """Handlers written by hand."""
    (port,) = free_ports(1)
    command = ("-m", "tests.benchmarks.rest_fastapi", str(port), target)
    async with started(command, suite_environment(home, {}), home / "fastapi.log") as process:
        yield await _ready(System(address=f"127.0.0.1:{port}", processes={"edge": process}))


@asynccontextmanager
async def envoy(home: Path, target: str) -> AsyncIterator[System]:
    """Envoy's transcoder with one worker."""
    (port,) = free_ports(1)
    settings = home / "envoy.json"
    settings.write_text(json.dumps(_envoy(port, target)))
    command = ("-c", str(settings), "--concurrency", "1", "--use-dynamic-base-id", "-l", "warning")
    program = str(Path(sys.executable).with_name("envoy"))
    async with started(command, suite_environment(home, {}), home / "envoy.log", program=program) as process:
        yield await _ready(System(address=f"127.0.0.1:{port}", processes={"edge": process}))


async def _ready(system: System) -> System:
    headers = {"x-api-key": KEY}
    async with httpx.AsyncClient(base_url=f"http://{system.address}", headers=headers, trust_env=False) as client:

        async def answers() -> bool:
            with suppress(httpx.HTTPError):
                return (await client.get("/api/v1/acquisitions/acq-1")).status_code == 200
            return False

        await eventually(answers, within=60)
    return system


def _envoy(port: int, target: str) -> dict[str, Any]:
    manager = {
        "@type": _type("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "rest",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "backend"}}],
                }
            ]
        },
        "http_filters": [
            {"name": "transcoder", "typed_config": _transcoder()},
            {"name": "router", "typed_config": {"@type": _type("filters.http.router.v3.Router")}},
        ],
    }
    http2: dict[str, Any] = {"explicit_http_config": {"http2_protocol_options": {}}}
    listener = {
        "address": _address("127.0.0.1", port),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    host, _, number = target.rpartition(":")
    endpoint = {"endpoint": {"address": _address(host, int(number))}}
    cluster = {
        "name": "backend",
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _type("upstreams.http.v3.HttpProtocolOptions"),
                **http2,
            }
        },
        "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _transcoder() -> dict[str, Any]:
    return {
        "@type": _type("filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"),
        "proto_descriptor": str(files("lockgroove") / "descriptors.binpb"),
        "services": [_SERVICE],
        "convert_grpc_status": True,
        "url_unescape_spec": "ALL_CHARACTERS_EXCEPT_SLASH",
        "query_param_unescape_plus": True,
        "match_unregistered_custom_verb": True,
        "print_options": {"always_print_primitive_fields": True, "stream_newline_delimited": True},
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _type(name: str) -> str:
    return f"type.googleapis.com/envoy.extensions.{name}"
