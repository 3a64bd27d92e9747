"""How the service is: what it depends on, the work that waits, and what is left of the disks."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from libs.live import LiveSettings, SettingsAbsent
from libs.outbound.breaker import Breaker, Circuit
from libs.outbound.heard import Heard
from libs.rpc.components import UP, Finding, Probe, State
from libs.rpc.status import Queue, StatusServicer, Volume
from libs.work.store import SqlWorkStore
from services.acquisition.batches.store import QUEUE as BATCHES
from services.acquisition.checks.folders import Fault, FolderCheck, Look, Need, glance_at
from services.acquisition.checks.soulseek import FindLease, lease_of
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.lidarr import LidarrFault, LidarrNotConfigured
from services.acquisition.domain.peers import PeerNetworkFault
from services.acquisition.ground import Ground
from services.acquisition.lidarr.client import LidarrClient
from services.acquisition.live import Wishes
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.soulseek.keeper import KeeperState, SessionKeeper
from services.acquisition.sources import Sources

_CIRCUITS = {Circuit.CLOSED: State.UP, Circuit.HALF_OPEN: State.UNKNOWN, Circuit.OPEN: State.DOWN}


def make_status(ground: Ground, sources: Sources, *, find_lease: FindLease) -> StatusServicer:
    """Wires it to the settings in force; it looks again whenever they change."""
    wishes = ground.wishes
    status = StatusServicer(
        ground.database,
        metrics=ground.telemetry.metrics,
        clock=ground.clock,
        queues=[partial(queues, ground.jobs)],
        volumes=Volumes(wishes, ground.home).read,
    )
    slskd = SlskdProbe(sources.slskd.client, wishes, Heard(ground.clock))
    soulseek = SoulseekProbe(sources.soulseek.keeper, find_lease)
    probes: dict[str, Probe] = {"lidarr": partial(probe_lidarr, sources.lidarr), "soulseek": soulseek, "slskd": slskd}
    for name, probe in probes.items():
        status.components.add(name, partial(_settled, ground.live, probe))
    status.components.add("breaker:lidarr", partial(_lidarr_breaker, sources.lidarr))
    for name, breaker in sources.breakers.items():
        status.components.add(f"breaker:{name}", partial(probe_breaker, breaker))
    ground.live.subscribe(lambda _: status.wake())
    return status


async def probe_lidarr(lidarr: LidarrClient) -> Finding:
    """Whether Lidarr answers: what it did within the last minute counts, else it is asked."""
    try:
        await lidarr.look()
    except LidarrNotConfigured as fault:
        return Finding(State.DISABLED, fault.reason, str(fault))
    except LidarrFault as fault:
        return Finding(State.DOWN, fault.reason, str(fault))
    return UP


class SlskdProbe:
    """Whether slskd answers, and is logged in to Soulseek; asked once a minute while it is."""

    def __init__(self, slskd: SlskdClient, wishes: Wishes, heard: Heard) -> None:
        self._slskd = slskd
        self._wishes = wishes
        self._heard = heard

    async def __call__(self) -> Finding:
        """One look."""
        address = self._wishes.slskd()
        if address is None:
            return Finding(State.DISABLED, "SLSKD_NOT_CONFIGURED", self._wishes.slskd_problem())
        if not self._heard.is_fresh(address):
            try:
                await self._slskd.ensure_ready()
            except PeerNetworkFault as fault:
                return Finding(State.DOWN, fault.reason, fault.message)
            self._heard.note(address, well=True)
        return UP


class SoulseekProbe:
    """How our session stands, and who keeps it where another replica does."""

    def __init__(self, keeper: SessionKeeper, find_lease: FindLease) -> None:
        self._keeper = keeper
        self._find_lease = find_lease

    async def __call__(self) -> Finding:
        """One look; nobody is called."""
        keeper = self._keeper
        if keeper.state is KeeperState.CONNECTED:
            return UP
        fault, account = keeper.fault, keeper.account
        if keeper.state is KeeperState.OFF or account is None:
            return Finding(State.DISABLED, fault.reason, fault.message)
        if keeper.state is KeeperState.WAITING:
            lease = await self._find_lease(lease_of(account.server, account.username))
            if lease is not None and lease.holder is not None:
                return Finding(State.UP, "ELSEWHERE", f"the session is kept by {lease.holder}")
        is_beginning = keeper.state in (KeeperState.WAITING, KeeperState.CONNECTING)
        return Finding(State.DEGRADED if is_beginning else State.DOWN, fault.reason, fault.message)


async def probe_breaker(breaker: Breaker) -> Finding:
    """How a circuit breaker stands. One whose time is over says nothing of its provider: the next call finds out."""
    return Finding(_CIRCUITS[breaker.circuit], breaker.circuit.name)


async def _lidarr_breaker(lidarr: LidarrClient) -> Finding:
    circuit = Circuit.OPEN if lidarr.is_open else Circuit.CLOSED
    return Finding(_CIRCUITS[circuit], circuit.name)


async def _settled(live: LiveSettings, probe: Probe) -> Finding:
    try:
        await live.ready()
    except SettingsAbsent as error:
        return Finding(State.UNKNOWN, error.code_reason, error.message)
    return await probe()


async def queues(jobs: SqlWorkStore) -> Sequence[Queue]:
    """Acquisitions and batches that have not ended, by state."""
    wanted = {"acquisitions": [source.lower() for source in Source], "batches": [BATCHES]}
    return [Queue.of(name, await jobs.census(some)) for name, some in wanted.items()]


class Volumes:
    """The library, the downloads and the data folder; a disk that hangs is not writable."""

    def __init__(self, wishes: Wishes, home: Path) -> None:
        self._wishes = wishes
        self._home = home
        self._folders = FolderCheck(glance_at)

    async def read(self) -> Sequence[Volume]:
        """One glance at each that is set; nothing is written."""
        return [_volume(look) for look in await self._folders.look(*self._needs()) if look.fault is not Fault.UNSET]

    def _needs(self) -> Sequence[Need]:
        home = Need(setting="home", path=self._home)
        try:
            downloads = self._wishes.downloads()
            return [
                Need(setting="music", path=self._wishes.music()),
                Need(setting="downloads", path=downloads, parent=downloads.parent),
                home,
            ]
        except SettingsAbsent:
            return [home]


def _volume(look: Look) -> Volume:
    return Volume(
        name=look.need.setting, free=look.free_bytes, total=look.total_bytes, writable=look.fault is Fault.NONE
    )
