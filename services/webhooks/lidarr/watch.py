"""Everything that the service does with Lidarr of its own accord, put together."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from lockgroove.config.v1 import config_pb2 as pb

from libs import ids
from libs.leases.store import SqlLeaseStore
from libs.live import LiveSettings
from libs.outbound.http import httpx
from libs.sql.watermarks import SqlWatermarks
from services.webhooks.domain.backfill import Backfill, Door, Gap, SenderLog, Told
from services.webhooks.domain.registration import webhook_url
from services.webhooks.ground import Ground
from services.webhooks.lidarr.history import LidarrHistory
from services.webhooks.lidarr.keeper import Keeper
from services.webhooks.lidarr.queue import LidarrQueue
from services.webhooks.lidarr.registration import LidarrRegistration
from services.webhooks.lidarr.secret import SOURCE, RegistrationSecret
from services.webhooks.peers import Peer, address_in
from services.webhooks.tables import lease, watermark

PROBE_TIMEOUT = 5.0  # seconds
_REPAIR = {"job_id": f"sources/{SOURCE}", "version": 0, "from_state": "", "to_state": "", "actor": "registration"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrWatch:
    """The gaps for the reconciler, and the loop that looks after them in between."""

    registration: LidarrRegistration
    gaps: Sequence[Gap]
    keeper: Keeper
    settings: LiveSettings

    async def run(self) -> None:
        """Looks after Lidarr as soon as the settings are known."""
        await self.settings.first()
        await self.keeper.run()


def watch_lidarr(
    ground: Ground, http: httpx.AsyncClient, *, gateway: str, door: Door, told: Told, log: SenderLog
) -> LidarrWatch:
    """Wires the registration and the two gaps to the settings in force."""
    peer = Peer(
        http,
        name="Lidarr",
        prefix="/api/v1",
        address=lambda: address_in(ground.live.current.settings.lidarr),
        clock=ground.clock,
    )
    registration = _registration(ground, http, peer, gateway=gateway)
    backfill = Backfill(door, source=SOURCE, clock=ground.clock, new_id=lambda: ids.new("evt"), log=log)
    watermarks = SqlWatermarks(ground.database, watermark)
    history = LidarrHistory(peer, backfill, told, watermarks, clock=ground.clock)
    queue = LidarrQueue(peer, backfill, told, watermarks, clock=ground.clock)
    keeper = Keeper(peer, registration, [history, queue], log=log)
    ground.live.subscribe(lambda _: keeper.wake())
    gaps: list[Gap] = [registration, history, queue]
    return LidarrWatch(registration=registration, gaps=gaps, keeper=keeper, settings=ground.live)


def _registration(ground: Ground, http: httpx.AsyncClient, peer: Peer, *, gateway: str) -> LidarrRegistration:
    def current() -> pb.Settings:
        return ground.live.current.settings

    secret = RegistrationSecret(
        ground.database,
        ground.safe,
        configured=lambda: current().lidarr.webhook_secret,
        new_id=lambda: ids.new("sec"),
    )

    async def repaired(text: str) -> None:
        async with ground.database.writing() as connection:
            ground.outbox.append(connection, _REPAIR | {"detail": {"correction": text}})

    return LidarrRegistration(
        peer,
        SqlLeaseStore(ground.database, lease),
        secret,
        url=lambda: _url(current().webhooks, gateway),
        answers=lambda url: _answers(http, url),
        repaired=repaired,
        clock=ground.clock,
    )


def _url(settings: pb.WebhookSettings, gateway: str) -> str | None:
    """Where Lidarr delivers; None where we are told not to register. Unset means yes, and where the gateway listens."""
    if settings.HasField("register_in_lidarr") and not settings.register_in_lidarr:
        return None
    return webhook_url(settings.public_url or gateway)


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    """Whether our own address takes deliveries in, as seen from here."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            answer = await http.get(f"{url}/verify", timeout=PROBE_TIMEOUT)
        return answer.is_success and answer.json().get("ready") is True
    except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError, RecursionError):
        return False
