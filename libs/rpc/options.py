"""Channel arguments of both sides. gRPC ignores a misspelt one without a word: check against docs before adding."""

import json
from functools import cache
from importlib.resources import files

from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions

_MESSAGE_BYTES = 16 * 1024 * 1024
_METADATA_BYTES = 32 * 1024
_MINUTE = 60_000  # milliseconds
_HOUR = 60 * _MINUTE

Options = list[tuple[str, str | int]]

SERVER: Options = [
    ("grpc.so_reuseport", 0),  # else a second process takes part of the traffic in silence
    ("grpc.max_connection_age_ms", 30 * _MINUTE),  # clients ask DNS again
    ("grpc.max_connection_age_grace_ms", 6 * _HOUR),  # streams stay on the old connection
    ("grpc.max_connection_idle_ms", 15 * _MINUTE),
    ("grpc.keepalive_time_ms", 2 * _MINUTE),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),  # below the clients' keepalive time
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_metadata_size", _METADATA_BYTES),
    ("grpc.max_concurrent_streams", 1000),
]

_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def client_options() -> Options:
    """How a channel behaves: round robin over what DNS says, healthy servers only, retries where they are safe."""
    return [
        ("grpc.service_config", service_config()),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.keepalive_time_ms", _MINUTE),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 0),
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 2000),
        ("grpc.max_receive_message_length", _MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MESSAGE_BYTES),
        ("grpc.max_metadata_size", _METADATA_BYTES),
    ]


@cache
def service_config() -> str:
    """The service config as JSON. Never with a timeout: the server would not see it, and it fires early."""
    names = [{"service": service, "method": method} for service, method in _idempotent_methods()]
    return json.dumps(
        {
            "loadBalancingConfig": [{"round_robin": {}}],
            "healthCheckConfig": {"serviceName": ""},
            "methodConfig": [{"name": names, "retryPolicy": _RETRY}],
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
        }
    )


@cache
def descriptor_set() -> FileDescriptorSet:
    """Every proto of the suite and what they import, as `make protos` wrote them."""
    return FileDescriptorSet.FromString((files("lockgroove") / "descriptors.binpb").read_bytes())


def _idempotent_methods() -> list[tuple[str, str]]:
    return [
        (f"{file.package}.{service.name}", method.name)
        for file in descriptor_set().file
        for service in file.service
        for method in service.method
        if method.options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN
    ]
