"""Channel arguments: gRPC ignores a wrong one without a word, so they are held against its own list."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2, batches_pb2, checks_pb2, leases_pb2, peers_pb2, searches_pb2
from lockgroove.api.v1 import cleanup_pb2, status_pb2
from lockgroove.config.v1 import (
    automations_pb2,
    config_pb2,
    connections_pb2,
    encryption_pb2,
    keys_pb2,
    oauth_pb2,
    onboarding_pb2,
    sessions_pb2,
)
from lockgroove.gateway.v1 import cleanup_pb2 as gateway_cleanup_pb2
from lockgroove.gateway.v1 import rate_limits_pb2, system_pb2
from lockgroove.webhooks.v1 import dead_letters_pb2, replays_pb2, sources_pb2, upkeep_pb2, webhooks_pb2

from libs.rpc.options import SERVER, client_options, service_config

MODULES = [
    *(acquisition_pb2, batches_pb2, checks_pb2, leases_pb2, peers_pb2, searches_pb2),
    *(automations_pb2, config_pb2, connections_pb2, encryption_pb2, keys_pb2, oauth_pb2, onboarding_pb2, sessions_pb2),
    *(rate_limits_pb2, system_pb2, status_pb2, cleanup_pb2, gateway_cleanup_pb2),
    *(dead_letters_pb2, replays_pb2, sources_pb2, upkeep_pb2, webhooks_pb2),
]
SERVICES = [service for module in MODULES for service in module.DESCRIPTOR.services_by_name.values()]


@pytest.fixture(scope="module")
def library() -> bytes:
    """The compiled core, where its names are."""
    spec = find_spec("grpc._cython.cygrpc")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_bytes()


def retried() -> set[tuple[str, str]]:
    (config,) = json.loads(service_config())["methodConfig"]
    return {(name["service"], name["method"]) for name in config["name"]}


@pytest.mark.parametrize("name", sorted({name for name, _ in [*SERVER, *client_options()]}))
def test_grpc_knows_the_argument(name: str, library: bytes) -> None:
    assert name.encode() + b"\x00" in library


def test_exactly_the_methods_that_say_so_are_tried_again() -> None:
    idempotent = {
        (service.full_name, method.name)
        for service in SERVICES
        for method in service.methods
        if method.GetOptions().idempotency_level
    }

    assert retried() == idempotent
    assert ("lockgroove.acquisition.v1.AcquisitionService", "CreateAcquisition") not in retried()


def test_the_service_config_has_no_timeout() -> None:
    assert "timeout" not in service_config()


def test_what_leaves_a_step_out_is_never_sent_twice() -> None:
    assert ("lockgroove.config.v1.OnboardingService", "SkipOnboardingStep") not in retried()
