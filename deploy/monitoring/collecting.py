"""Asks the code for its metrics: every service is put together in a folder of its own, and none of them is run."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Literal

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from deploy.monitoring.catalogue import Metric
from libs.rpc.tls import expiry_gauge
from libs.service import Service
from libs.telemetry.metrics import Described
from libs.telemetry.options import TelemetryOptions
from services.acquisition import app as acquisition
from services.acquisition.settings import Settings as Acquisition
from services.config import app as config
from services.config.settings import Settings as Config
from services.gateway import app as gateway
from services.gateway.settings import Settings as Gateway
from services.gateway.status.metrics import UP
from services.webhooks import app as webhooks
from services.webhooks.settings import Settings as Webhooks

_LISTEN = "127.0.0.1:0"
_QUIET = TelemetryOptions(level="CRITICAL")
_TYPES: Mapping[str, Literal["counter", "gauge"]] = {"counter": "counter", "gauge": "gauge"}
_REDIS = "redis://127.0.0.1:1"  # nobody connects before the first request


async def collected(home: Path) -> dict[str, Metric]:
    """Every metric by its name; makes databases in `home`, which should be empty or of this version."""
    found: dict[str, Metric] = {}
    apps: dict[str, AbstractAsyncContextManager[Service[Any]]] = {
        "acquisition": acquisition.open_app(Acquisition(home=home, listen=_LISTEN, telemetry=_QUIET)),
        "config": config.open_app(Config(home=home, listen=_LISTEN, telemetry=_QUIET, admin_key="of-nobody-at-all")),
        "gateway": gateway.open_app(Gateway(home=home, port=0, telemetry=_QUIET, redis_url=_REDIS)),
        "webhooks": webhooks.open_app(Webhooks(home=home, listen=_LISTEN, telemetry=_QUIET)),
    }
    for service, opening in apps.items():
        async with opening as app:
            assert app.telemetry is not None, "every service tells"
            expiry_gauge(app.telemetry.metrics)  # there with certificates only
            _add(found, service, [*app.telemetry.metrics.described, *_of_the_process()])
    for service in apps:
        _add(found, service, [Described(name=UP[0], type="gauge", labels=(), help=UP[1])])
    return found


def _add(found: dict[str, Metric], service: str, described: Iterable[Described]) -> None:
    for one in described:
        before = found.get(one.name)
        services = (*before.services, service) if before else (service,)
        found[one.name] = Metric(type=one.type, labels=one.labels, help=one.help, services=services)
        if before and (before.type, before.labels) != (one.type, one.labels):
            raise ValueError(f"{one.name} of {service} is another metric than that of {before.services}")


def _of_the_process() -> Iterator[Described]:
    """What prometheus_client itself tells."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    for family in registry.collect():
        sample, labels = family.samples[0].name, tuple(family.samples[0].labels)
        yield Described(name=sample, type=_TYPES[family.type], labels=labels, help=family.documentation)
