"""The webhooks service, put together."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Protocol

from libs.outbound.http import httpx
from libs.rpc.auth import KeyAuthenticator
from libs.rpc.server import Server
from libs.rpc.uses import KeyUses
from libs.service import Loop, Service
from libs.telemetry.exposition import open_exposition
from services.webhooks.acquisition import open_acquisitions
from services.webhooks.dead_letters.wiring import make_dead_letters
from services.webhooks.domain.processing import LEASE
from services.webhooks.encryption.wiring import follow_data_keys
from services.webhooks.events.wiring import open_events
from services.webhooks.ground import Ground, open_ground
from services.webhooks.lidarr.watch import watch_lidarr
from services.webhooks.metrics import SenderMetrics, WebhookMetrics
from services.webhooks.replays.wiring import make_replays
from services.webhooks.secrets import SettingsSecrets
from services.webhooks.settings import Settings
from services.webhooks.slskd.watch import watch_slskd
from services.webhooks.sources.wiring import open_sources
from services.webhooks.status import make_status
from services.webhooks.upkeep.partitions import RoomForBodies
from services.webhooks.upkeep.wiring import Neighbours, Upkeep, open_partitions


class Slice(Protocol):
    """A part of the service with an API and loops of its own."""

    @property
    def loops(self) -> Sequence[Loop]:
        """What runs beside the server."""
        ...

    def serve(self, server: Server) -> None:
        """Adds its API to the server."""
        ...


@asynccontextmanager
async def open_app(settings: Settings, *, lease: timedelta = LEASE) -> AsyncIterator[Service[Server]]:
    """Constructs everything in order; an event is claimed for the time of the lease.

    Raises AppError for what the environment, the root key or the database deny.
    """
    async with AsyncExitStack() as stack:
        ground = await stack.enter_async_context(open_ground(settings))
        acquisitions = await stack.enter_async_context(open_acquisitions(ground.channel(settings.acquisition)))
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        metrics, senders = WebhookMetrics(ground.telemetry.metrics), SenderMetrics(ground.telemetry.metrics)

        partitions = await open_partitions(ground)
        sources = await open_sources(
            ground.database, ground.safe, ground.tokens, settings_secret=SettingsSecrets(ground.live).of, log=metrics
        )
        events = await stack.enter_async_context(
            open_events(
                ground,
                sources=sources.registry,
                log=sources.log,
                room=partial(RoomForBodies, make=partitions.make),
                acquisitions=acquisitions,
                metrics=metrics,
                lease=lease,
            )
        )
        dead_letters = make_dead_letters(ground, decided=events.revive)
        replays = make_replays(ground, replayed=events.revive)
        lidarr = watch_lidarr(ground, http, gateway=settings.gateway, door=events.inbox, told=events.store, log=senders)
        slskd = watch_slskd(ground, http, door=events.inbox, log=senders)
        keys = follow_data_keys(ground)
        neighbours = Neighbours(
            wake=events.revive,
            newest=acquisitions.newest,
            tend=lidarr.registration.tend,
            gaps=[*lidarr.gaps, *slskd.gaps],
        )
        upkeep = Upkeep(ground, partitions=partitions, neighbours=neighbours)
        status = make_status(ground, lidarr=lidarr.keeper, slskd=slskd.peer, dead_letters=dead_letters.dead_letters)

        uses = KeyUses(ground.live.report_key_uses, clock=ground.clock)
        server = _server(settings, ground, uses)
        slices: list[Slice] = [events, sources, dead_letters, replays, upkeep]
        for each in slices:
            each.serve(server)
        status.serve(server)
        await stack.enter_async_context(open_exposition(ground.telemetry.metrics, settings.listen))
        loops = [loop for each in slices for loop in each.loops]
        yield Service(
            server,
            telemetry=ground.telemetry,
            loops=[ground.live.run, uses.run, status.run, lidarr.run, *keys.loops, *loops],
        )


def _server(settings: Settings, ground: Ground, uses: KeyUses) -> Server:
    authenticator = KeyAuthenticator(
        ground.service_tokens, ground.live.api_keys, used=uses.note, ended=ground.live.ended_sessions
    )
    return Server(
        settings.listen,
        authenticator=authenticator,
        telemetry=ground.telemetry,
        ready=ground.ready,
        certificates=ground.certificates,
    )
