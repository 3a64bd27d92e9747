"""Everything that the service does with Lidarr of its own accord, put together."""

from collections.abc import Sequence
from dataclasses import dataclass

from lockgroove.config.v1 import config_pb2 as pb

from libs import ids
from libs.clock import SystemClock
from libs.crypto import Keyring
from libs.leases.store import SqlLeaseStore
from libs.live import LiveSettings
from libs.outbound.http import httpx
from libs.sql.engine import Database
from services.webhooks.domain.backfill import Backfill, Door, Gap, SenderLog, Told
from services.webhooks.domain.registration import webhook_url
from services.webhooks.lidarr.history import LidarrHistory
from services.webhooks.lidarr.keeper import Keeper
from services.webhooks.lidarr.queue import LidarrQueue
from services.webhooks.lidarr.registration import LidarrRegistration
from services.webhooks.lidarr.secret import SOURCE, RegistrationSecret
from services.webhooks.peers import Address, Peer
from services.webhooks.tables import lease
from services.webhooks.watermarks import SqlWatermarks

PROBE_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class LidarrWatch:
    """The gaps for the reconciler, and the loop that looks after them in between."""

    gaps: Sequence[Gap]
    keeper: Keeper
    settings: LiveSettings

    async def run(self) -> None:
        """Looks after Lidarr as soon as the settings are known."""
        await self.settings.first()
        await self.keeper.run()


def watch_lidarr(
    http: httpx.AsyncClient,
    live: LiveSettings,
    database: Database,
    *,
    gateway: str,
    keyring: Keyring,
    door: Door,
    told: Told,
    log: SenderLog,
) -> LidarrWatch:
    """Wires the registration and the two gaps to the settings in force."""

    clock = SystemClock()

    def current() -> pb.Settings:
        return live.current.settings

    peer = Peer(http, name="Lidarr", prefix="/api/v1", address=lambda: _address(current().lidarr), clock=clock)
    secret = RegistrationSecret(
        database, keyring, configured=lambda: current().lidarr.webhook_secret, new_id=lambda: ids.new("sec")
    )
    registration = LidarrRegistration(
        peer,
        SqlLeaseStore(database, lease),
        secret,
        url=lambda: _url(current().webhooks, gateway),
        answers=lambda url: _answers(http, url),
        clock=clock,
    )
    backfill = Backfill(door, source=SOURCE, clock=clock, new_id=lambda: ids.new("evt"), log=log)
    watermarks = SqlWatermarks(database)
    history = LidarrHistory(peer, backfill, told, watermarks, clock=clock)
    queue = LidarrQueue(peer, backfill, told, watermarks, clock=clock)
    keeper = Keeper(peer, registration, [history, queue], log=log)
    live.subscribe(lambda _: keeper.wake())
    return LidarrWatch(gaps=[registration, history, queue], keeper=keeper, settings=live)


def _address(settings: pb.LidarrSettings) -> Address | None:
    if not settings.url or not settings.api_key:
        return None
    return Address(url=settings.url, api_key=settings.api_key)


def _url(settings: pb.WebhookSettings, gateway: str) -> str | None:
    """Where Lidarr delivers; None where we are told not to register. Unset means yes, and where the gateway listens."""
    if settings.HasField("register_in_lidarr") and not settings.register_in_lidarr:
        return None
    return webhook_url(settings.public_url or gateway)


async def _answers(http: httpx.AsyncClient, url: str) -> bool:
    """Whether our own address takes deliveries in, as seen from here."""
    try:
        answer = await http.get(f"{url}/verify", timeout=PROBE_TIMEOUT)
        return answer.is_success and answer.json().get("ready") is True
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, AttributeError):
        return False
