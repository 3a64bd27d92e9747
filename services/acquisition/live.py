"""The settings of the moment, in the words of the parts that obey them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import config_pb2 as pb

from services.acquisition.domain.acquisitions import Rules
from services.acquisition.domain.attempt import Source
from services.acquisition.lidarr.client import LidarrAddress
from services.acquisition.lidarr.source import LidarrChoices
from services.acquisition.soulseek.account import Account
from services.acquisition.soulseek.network import TimeLimits
from services.acquisition.steps.lidarr import LidarrTimes


class Wishes:
    """Reads whatever snapshot is in force at the time of asking; raises SettingsAbsent before the first one."""

    def __init__(self, current: Callable[[], pb.Snapshot], *, home: Path) -> None:
        self._current = current
        self._home = home

    def rules(self) -> Rules:
        """What holds for new acquisitions."""
        source = self._settings.acquisition.source
        lidarr = source == pb.AcquisitionSettings.LIDARR
        return Rules(
            source=Source.LIDARR if lidarr else Source.SOULSEEK, music_path=self._settings.storage.music_path or None
        )

    def concurrency(self) -> int:
        """How many acquisitions of a source run at once."""
        return self._settings.acquisition.concurrency or 4

    def music(self) -> Path | None:
        """Where the library is, if somebody said so."""
        path = self._settings.storage.music_path
        return Path(path) if path else None

    def downloads(self) -> Path:
        """Where downloads wait for verification."""
        return Path(self._settings.storage.download_path or self._home / "downloads")

    def account(self) -> Account | None:
        """The account on Soulseek, if there is one."""
        soulseek = self._settings.soulseek
        if not (soulseek.username and soulseek.password):
            return None
        host, _, port = soulseek.server.rpartition(":")
        return Account(
            server_host=host,
            server_port=int(port),
            username=soulseek.username,
            password=soulseek.password,
            listen_host=soulseek.listen_host,
            listen_port=soulseek.listen_port,
        )

    def limits(self) -> TimeLimits:
        """How long to wait on Soulseek."""
        soulseek, usual = self._settings.soulseek, TimeLimits()
        return TimeLimits(
            search=_duration(soulseek.search_timeout, usual.search),
            idle=_duration(soulseek.idle_timeout, usual.idle),
            queue=_duration(soulseek.queue_timeout, usual.queue),
        )

    def lidarr(self) -> LidarrAddress | None:
        """Where Lidarr is, if somebody said so."""
        lidarr = self._settings.lidarr
        if not (lidarr.url and lidarr.api_key):
            return None
        return LidarrAddress(url=lidarr.url, api_key=lidarr.api_key)

    def choices(self) -> LidarrChoices:
        """What a new artist gets in Lidarr."""
        lidarr = self._settings.lidarr
        return LidarrChoices(
            root_folder=lidarr.root_folder or None,
            quality_profile_id=lidarr.quality_profile_id or None,
            metadata_profile_id=lidarr.metadata_profile_id or None,
        )

    def times(self) -> LidarrTimes:
        """How often to look at Lidarr, and how long to wait for it."""
        lidarr = self._settings.lidarr
        return LidarrTimes(
            poll_interval=_duration(lidarr.poll_interval, timedelta(minutes=1)),
            idle_timeout=_duration(lidarr.idle_timeout, timedelta(days=1)),
        )

    @property
    def _settings(self) -> pb.Settings:
        return self._current().settings


def _duration(given: Duration, usual: timedelta) -> timedelta:
    return given.ToTimedelta() or usual
