"""The ground that every part of the gateway stands on: telemetry, keys, channels to the services, settings in force."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import grpc

from libs.clock import Clock, SystemClock
from libs.crypto import RootKeys, load_root_keys
from libs.live import LiveSettings
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.client import open_channel
from libs.rpc.tls import Certificates, open_certificates
from libs.telemetry import Telemetry, open_telemetry
from libs.transcoding.descriptors import DescriptorSet
from services.gateway.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What the parts are built from.

    `callers` are channels by proto package that carry the caller's own credential; `trusted` ones, by service, carry
    that of the suite. `drain` is set when the end comes.
    """

    telemetry: Telemetry
    clock: Clock
    drain: asyncio.Event
    release: str
    targets: Mapping[str, str]
    descriptors: DescriptorSet
    roots: RootKeys
    callers: Mapping[str, grpc.aio.Channel]
    trusted: Mapping[str, grpc.aio.Channel]
    certificates: Certificates | None
    live: LiveSettings
    authenticator: KeyAuthenticator


@asynccontextmanager
async def open_ground(settings: Settings) -> AsyncIterator[Ground]:
    """Opens it. Raises AppError for what the environment or the root key deny."""
    targets = {"acquisition": settings.acquisition, "webhooks": settings.webhooks, "config": settings.config}
    async with AsyncExitStack() as stack:
        telemetry = stack.enter_context(open_telemetry("gateway", settings.telemetry))
        roots = load_root_keys(
            settings.home, settings.secret_key, settings.previous_secret_key, mounted=settings.secret_key_file
        )
        certificates = open_certificates(settings.tls, metrics=telemetry.metrics)

        async def channel(target: str, **options: Any) -> grpc.aio.Channel:
            return await stack.enter_async_context(open_channel(target, certificates=certificates, **options))

        callers = {
            f"lockgroove.{name}.v1": await channel(target, tracer=telemetry.tracer) for name, target in targets.items()
        }
        trusted = {name: await channel(target, credential=roots.service_token) for name, target in targets.items()}
        live, clock = LiveSettings(trusted["config"], telemetry), SystemClock()
        yield Ground(
            telemetry=telemetry,
            clock=clock,
            drain=asyncio.Event(),
            release=version("lockgroove"),
            targets=targets,
            descriptors=DescriptorSet((files("lockgroove") / "descriptors.binpb").read_bytes()),
            roots=roots,
            callers=callers,
            trusted=trusted,
            certificates=certificates,
            live=live,
            authenticator=KeyAuthenticator(roots.service_tokens, live.api_keys, clock=clock, ended=live.ended_sessions),
        )
