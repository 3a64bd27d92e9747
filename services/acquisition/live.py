"""The settings of the moment, in the words of the parts that obey them."""

from collections.abc import Callable
from datetime import time, timedelta
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from lockgroove.config.v1 import config_pb2 as pb

from libs.cleanup.schedule import time_of
from services.acquisition.domain.acquisitions import Rules
from services.acquisition.domain.attempt import Source
from services.acquisition.domain.lidarr import NO_LIDARR
from services.acquisition.domain.providers import (
    LastfmAddress,
    LibraryOwner,
    MusicBrainzAddress,
    Retention,
    Sharing,
    SlskdAddress,
    Taste,
)
from services.acquisition.domain.reputation import BLOCK
from services.acquisition.domain.searching import KEPT
from services.acquisition.domain.sources import SourceRules
from services.acquisition.domain.wish import Scope
from services.acquisition.lidarr.client import LidarrAddress
from services.acquisition.lidarr.source import LidarrChoices
from services.acquisition.slskd.errors import NO_SLSKD
from services.acquisition.soulseek.account import NO_ACCOUNT, Account
from services.acquisition.soulseek.network import TimeLimits
from services.acquisition.steps.lidarr import LidarrTimes

_MIB = 1024 * 1024

Switchable = pb.LidarrSettings | pb.SoulseekSettings | pb.SlskdSettings | pb.LastfmSettings | pb.MusicBrainzSettings
_SOURCES = {pb.AcquisitionSettings.Source.Value(source): source for source in Source}


class Wishes:
    """Reads whatever snapshot is in force at the time of asking; raises SettingsAbsent before the first one."""

    def __init__(self, current: Callable[[], pb.Snapshot], *, home: Path) -> None:
        self._current = current
        self._home = home

    def rules(self) -> Rules:
        """What holds for new acquisitions."""
        return Rules(
            sources=self.sources(),
            scope=self.scope(),
            music_path=self._settings.storage.music_path or None,
            imports=self.library_owner() is LibraryOwner.LOCKGROOVE,
        )

    def sources(self) -> SourceRules:
        """Which source an acquisition begins with, and which one comes after it."""
        acquisition = self._settings.acquisition
        return SourceRules(
            primary=_SOURCES.get(acquisition.source, Source.SOULSEEK),
            fallback=_SOURCES.get(acquisition.fallback),
            configured=self.configured(),
        )

    def configured(self) -> frozenset[Source]:
        """The sources that have what they need: an account, or an address and a key; slskd a folder, too.

        Without the folder, slskd only sends its webhooks here.
        """
        slskd = self.slskd()
        folder = None if slskd is None else slskd.download_path
        accesses = {Source.SOULSEEK: self.account(), Source.LIDARR: self.lidarr(), Source.SLSKD: folder}
        return frozenset(source for source, access in accesses.items() if access is not None)

    def scope(self) -> Scope:
        """Within what the same album is the same acquisition."""
        by_requester = self._settings.acquisition.dedup_scope == pb.AcquisitionSettings.REQUESTER
        return Scope.REQUESTER if by_requester else Scope.GLOBAL

    def concurrency(self, source: Source) -> int:
        """How many acquisitions of the source run at once."""
        settings = self._settings
        own = {
            Source.SOULSEEK: settings.soulseek.concurrency,
            Source.LIDARR: settings.lidarr.concurrency,
            Source.SLSKD: settings.slskd.concurrency,
        }
        return own[source] or settings.acquisition.concurrency or 4

    def taste(self) -> Taste:
        """Which files are taken."""
        acquisition, usual = self._settings.acquisition, Taste()
        return Taste(
            formats=tuple(acquisition.formats.split(",")) if acquisition.formats else usual.formats,
            minimum_bitrate=_given(acquisition, "minimum_bitrate", usual.minimum_bitrate),
            allow_partial=acquisition.allow_partial,
        )

    def retention(self) -> Retention:
        """For how long what has ended is kept."""
        acquisition, usual = self._settings.acquisition, Retention()
        return Retention(
            acquisitions=acquisition.retention_days or usual.acquisitions,
            batches=acquisition.batch_retention_days or usual.batches,
        )

    def cleanup_time(self) -> time:
        """When the daily clean-up begins."""
        return time_of(self._settings.upkeep.cleanup_time)

    def library_owner(self) -> LibraryOwner:
        """Who puts albums into the library."""
        by_lidarr = self._settings.storage.library_owner == pb.StorageSettings.LIDARR
        return LibraryOwner.LIDARR if by_lidarr else LibraryOwner.LOCKGROOVE

    def minimum_free(self) -> int:
        """How many bytes must stay free on the disks of downloads and library."""
        return _given(self._settings.storage, "minimum_free_mib", 500) * _MIB

    def music(self) -> Path | None:
        """Where the library is, if somebody said so."""
        path = self._settings.storage.music_path
        return Path(path) if path else None

    def downloads(self) -> Path:
        """Where downloads wait for verification."""
        return Path(self._settings.storage.download_path or self._home / "downloads")

    def account(self) -> Account | None:
        """The account on Soulseek, if there is one, and Soulseek is not switched off."""
        soulseek = self._settings.soulseek
        if not (_enabled(soulseek) and soulseek.username and soulseek.password):
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

    def sharing(self) -> Sharing:
        """What is shared on Soulseek."""
        soulseek = self._settings.soulseek
        folder = Path(soulseek.shared_folder) if soulseek.shared_folder else None
        slots = soulseek.upload_slots or Sharing().upload_slots
        return Sharing(folder=folder, upload_slots=slots, private=(self.downloads(),))

    def slskd(self) -> SlskdAddress | None:
        """Where slskd is, if somebody said so and did not switch it off."""
        slskd = self._settings.slskd
        if not (_enabled(slskd) and slskd.url and slskd.api_key):
            return None
        downloads = Path(slskd.download_path) if slskd.download_path else None
        return SlskdAddress(url=slskd.url, api_key=slskd.api_key, download_path=downloads)

    def musicbrainz(self) -> MusicBrainzAddress | None:
        """Where MusicBrainz is, if it is to be asked and its operators may be told whom to reach."""
        musicbrainz = self._settings.musicbrainz
        if not (_enabled(musicbrainz) and musicbrainz.url and musicbrainz.contact):
            return None
        return MusicBrainzAddress(
            url=musicbrainz.url,
            contact=musicbrainz.contact,
            cache_ttl=musicbrainz.cache_ttl.ToTimedelta() or None,
        )

    def lastfm(self) -> LastfmAddress | None:
        """Where Last.fm is, if it is to be asked."""
        lastfm = self._settings.lastfm
        if not (_enabled(lastfm) and lastfm.url and lastfm.api_key):
            return None
        return LastfmAddress(url=lastfm.url, api_key=lastfm.api_key, cache_ttl=lastfm.cache_ttl.ToTimedelta() or None)

    def lidarr_downloads(self) -> str | None:
        """The downloads folder as Lidarr sees it, where it is not as we see it."""
        return self._settings.lidarr.download_path or None

    def lidarr(self) -> LidarrAddress | None:
        """Where Lidarr is, if somebody said so and did not switch it off."""
        lidarr = self._settings.lidarr
        if not (_enabled(lidarr) and lidarr.url and lidarr.api_key):
            return None
        return LidarrAddress(url=lidarr.url, api_key=lidarr.api_key)

    def soulseek_problem(self) -> str:
        """Why there is no account on Soulseek, and what to do; empty while there is one."""
        if not _enabled(self._settings.soulseek):
            return "Soulseek is switched off. Set soulseek.enabled to true, then retry."
        return "" if self.account() else NO_ACCOUNT

    def lidarr_problem(self) -> str:
        """Why Lidarr cannot be used, and what to do; empty while it is configured."""
        if not _enabled(self._settings.lidarr):
            return "Lidarr is switched off. Set lidarr.enabled to true, then retry."
        return "" if self.lidarr() else NO_LIDARR

    def slskd_problem(self) -> str:
        """Why slskd cannot be used, and what to do; empty while it is configured."""
        if not _enabled(self._settings.slskd):
            return "slskd is switched off. Set slskd.enabled to true, then retry."
        slskd = self.slskd()
        if slskd is None:
            return NO_SLSKD
        return "" if slskd.download_path else "slskd's folder is not set. Set slskd.downloadPath, then retry."

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

    def peer_block(self) -> timedelta:
        """For how long a peer that failed too often is left alone."""
        return _duration(self._settings.acquisition.peer_block_duration, BLOCK)

    def search_time(self) -> timedelta:
        """For how long a person's search can be read."""
        return _duration(self._settings.acquisition.search_ttl, KEPT)

    @property
    def _settings(self) -> pb.Settings:
        return self._current().settings


def _enabled(subject: Switchable) -> bool:
    """Whether nobody switched it off."""
    return subject.enabled or not subject.HasField("enabled")


def _given(settings: Message, name: str, usual: int) -> int:
    """A number that may be 0."""
    return int(getattr(settings, name)) if settings.HasField(name) else usual


def _duration(given: Duration, usual: timedelta) -> timedelta:
    return given.ToTimedelta() or usual
