"""A real Soulseek client (aioslsk) that stays on loopback: its own settings only, a free port, no UPnP."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aioslsk.client import SoulSeekClient
from aioslsk.events import UserStatusUpdateEvent
from aioslsk.network.connection import ListeningConnection
from aioslsk.network.network import ListeningConnections, Network
from aioslsk.settings import CredentialsSettings, Settings, SharedDirectorySettingEntry
from aioslsk.transfer.cache import TransferCache
from aioslsk.transfer.manager import TransferManager
from aioslsk.transfer.state import TransferState
from aioslsk.user.model import UserStatus
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from deploy.demo.soulseek.server import HOST
from services.acquisition.soulseek.client import end_tasks

_REPORT_INTERVAL = 0.05  # seconds between progress events


class LoopbackClient(SoulSeekClient):
    """A client that listens on a free port of loopback and advertises the upload speed it is told to (bytes/s).

    What it is about to send to a user who goes offline, it lets go, as the common clients do. The library's own would
    wait half a minute for that user's word, deaf to what their next session asks.
    """

    def __init__(self, settings: Settings, *, advertised_speed: int = 0) -> None:
        self._advertised_speed = advertised_speed
        super().__init__(settings)
        self.events.register(UserStatusUpdateEvent, self._on_user_status)

    def create_network(self) -> Network:
        """The network with a listening socket on loopback alone."""
        return _LoopbackNetwork(self.settings, self.events)

    def create_transfer_manager(self, cache: TransferCache) -> TransferManager:
        """The transfers, with the advertised speed instead of the measured one."""
        transfers = _AdvertisingTransferManager(
            self.settings, self.events, self.users, self.shares, self.network, cache=cache
        )
        transfers.advertised_speed = self._advertised_speed
        return transfers

    async def stop(self) -> None:
        """Go offline. What is under way ends first: the library can interrupt itself while it closes a file."""
        await end_tasks(self.transfers.transfers)
        await super().stop()  # type: ignore[no-untyped-call]  # aioslsk has no annotation here

    async def _on_user_status(self, event: UserStatusUpdateEvent) -> None:
        if event.current.status is UserStatus.OFFLINE:
            for upload in self.transfers.get_uploads():
                if upload.username == event.current.name and upload.state.VALUE is TransferState.INITIALIZING:
                    await asyncio.gather(*upload.cancel_tasks(), return_exceptions=True)
                    await upload.state.fail()


@asynccontextmanager
async def open_client(
    server: tuple[str, int],
    username: str,
    password: str,
    *,
    download: Path,
    shared: Sequence[Path] = (),
    upload_kbps: int = 0,
    advertised_speed: int = 0,
) -> AsyncIterator[LoopbackClient]:
    """A client that is logged in and has scanned the folders it shares."""
    settings = _settings(server, username, password, download=download, shared=shared, upload_kbps=upload_kbps)
    client = LoopbackClient(settings, advertised_speed=advertised_speed)
    loop = asyncio.get_running_loop()
    handler = loop.get_exception_handler()
    try:
        await client.start()
        loop.set_exception_handler(handler)  # start() makes the loop log every fault of ours as well
        await client.login()
        await client.shares.scan()
        yield client
    finally:
        await client.stop()


class _OwnSettings(Settings):
    """Settings from constructor arguments alone: the library would also read DEBUG or USERS of the environment."""

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_others: Any, **_more: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


class _LoopbackListener(ListeningConnection):
    async def connect(self) -> None:
        await super().connect()  # type: ignore[no-untyped-call]  # aioslsk has no annotation here
        assert isinstance(self._server, asyncio.Server)
        self.port = self._server.sockets[0].getsockname()[1]  # what SetListenPort tells the server


class _LoopbackNetwork(Network):
    def create_listening_connections(self) -> ListeningConnections:
        return _LoopbackListener(HOST, 0, self), None


class _AdvertisingTransferManager(TransferManager):
    advertised_speed = 0

    def get_average_upload_speed(self) -> float:
        return self.advertised_speed or super().get_average_upload_speed()


def _settings(
    server: tuple[str, int], username: str, password: str, *, download: Path, shared: Sequence[Path], upload_kbps: int
) -> Settings:
    settings = _OwnSettings(credentials=CredentialsSettings(username=username, password=password))
    settings.network.server.hostname, settings.network.server.port = server
    settings.network.upnp.enabled = False
    settings.network.limits.upload_speed_kbps = upload_kbps
    settings.searches.send.request_timeout = 30
    settings.transfers.report_interval = _REPORT_INTERVAL
    settings.shares.scan_on_start = False
    settings.shares.download = str(download)
    settings.shares.directories = [SharedDirectorySettingEntry(path=str(folder)) for folder in shared]
    return settings
