"""The pretended Lidarr as a whole: its parts, what its commands do, and the levers that tests pull."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from deploy.demo.albums import Album
from deploy.demo.lidarr import bodies
from deploy.demo.lidarr.commands import Commands, Runner, Verdict
from deploy.demo.lidarr.downloads import Download, Downloads
from deploy.demo.lidarr.history import History
from deploy.demo.lidarr.library import Artist, Library, LibraryAlbum
from deploy.demo.lidarr.manual_import import ManualImports
from deploy.demo.lidarr.notifications import Notifications
from deploy.demo.lidarr.scenario import Outcome, Scenario
from libs.clock import Clock

_AGE = timedelta(hours=1)  # for which it seems to have run already


@dataclass(slots=True, kw_only=True)
class Timing:
    """How long things take, in seconds: a command in the queue, learning an artist's albums, asking the client."""

    queue: float = 0.02
    refresh: float = 0.2
    clients: float = 0.05


@dataclass(slots=True, kw_only=True)
class Fault:
    """An answer that replaces the real one, for requests whose path starts so, this many times."""

    method: str
    path: str
    status: int
    times: int


@dataclass(slots=True)
class Counts:
    """What clients asked for: every request, and the things that were really added."""

    requests: list[tuple[str, str]] = field(default_factory=list)
    artists_added: int = 0
    albums_added: int = 0


class Lidarr:
    """A Lidarr without its HTTP side.

    Levers: `scenarios` by release group, `metadata_is_up`, `redownloads_failed`, `faults`, `downloads.client_is_up`.
    """

    def __init__(
        self,
        root: Path,
        catalogue: Iterable[Album],
        *,
        api_key: str,
        clock: Clock,
        timing: Timing,
        scenarios: Mapping[str, Scenario],
    ) -> None:
        self.api_key, self.clock, self.timing = api_key, clock, timing
        self.metadata_is_up = True
        self.redownloads_failed = True
        self.started = clock.now() - _AGE
        self.faults: list[Fault] = []
        self.counts = Counts()
        self.library = Library(root, catalogue)
        self.history = History(clock)
        self.notifications = Notifications(clock, started=self.started)
        self.downloads = Downloads(
            self.library,
            self.history,
            self.notifications,
            clock,
            refresh_seconds=timing.clients,
            search_again=self._search_again,
        )
        self.manual_imports = ManualImports(self.library, self.history, self.notifications, clock)
        runners: dict[str, Runner] = {
            "AlbumSearch": self._album_search,
            "ManualImport": self.manual_imports.run,
            "RefreshArtist": self._refresh_artist,
            "RefreshMonitoredDownloads": self._refresh_downloads,
        }
        self.commands = Commands(clock, runners, queue_seconds=timing.queue)
        self._scenarios = dict(scenarios)
        self._used: dict[str, int] = {}

    def script(self, album: Album, scenario: Scenario) -> None:
        """Say what happens to an album from now on; its releases start anew."""
        self._scenarios[album.mbid] = scenario
        self._used[album.mbid] = 0

    def scenario(self, album: Album) -> Scenario:
        """What happens to an album: all goes well unless it was said otherwise."""
        return self._scenarios.get(album.mbid, Scenario())

    async def add_artist(self, artist: Artist) -> None:
        """Tell the world about a new artist, and learn its albums in the background."""
        self.counts.artists_added += 1
        self.commands.submit("RefreshArtist", {"artistId": artist.id, "isNewArtist": True})
        await self.notifications.tell(bodies.artist_add(artist))

    def ensure_album(self, album: Album) -> LibraryAlbum:
        """The album as a person would add it by hand: artist and tracks known, wanted."""
        artist = self.library.find_artist(album.artist_mbid) or self.library.add_artist(
            mbid=album.artist_mbid,
            name=album.artist,
            path=self.library.artist_folder(album.artist, self.library.root),
            quality_profile_id=1,
            metadata_profile_id=1,
            monitored=True,
            monitor_new_items="all",
            monitors_albums=True,
            albums_to_monitor=(),
            added=self.clock.now(),
        )
        self.library.refresh(artist)
        row = self.library.find_album(album.mbid)
        assert row is not None, "the catalogue holds every album of the world"
        return row

    async def foreign_grab(self, *albums: Album, outcome: Outcome = Outcome.SUCCESS) -> Download:
        """Grab a release that nobody asked this suite for, as a person or a feed does; of several albums, if given."""
        rows = [self.ensure_album(album) for album in albums]
        return await self.downloads.grab(rows, outcome, self.scenario(albums[0]), release_source="Rss")

    async def restart(self) -> None:
        """Restart: commands are orphaned, the queue is empty for a while, the start time changes."""
        self.started = self.clock.now()
        self.notifications.started = self.started
        await self.commands.restart()
        self.downloads.restart()

    async def close(self) -> None:
        """Stop all that is running."""
        await self.commands.close()
        await self.downloads.close()
        await self.notifications.close()

    def fault(self, method: str, path: str) -> int | None:
        """The status that a fault wants for this request, once for each of its times."""
        for fault in self.faults:
            if fault.times > 0 and fault.method == method and path.startswith(fault.path):
                fault.times -= 1
                return fault.status
        return None

    async def _album_search(self, parameters: Mapping[str, Any]) -> Verdict:
        grabbed = 0
        for album_id in parameters.get("albumIds", []):
            album = self.library.albums[album_id]
            album.last_search = self.clock.now()
            if outcome := self._next_release(album):
                asked = "Search" if parameters.get("automatic") else "UserInvokedSearch"
                await self.downloads.grab([album], outcome, self.scenario(album.source), release_source=asked)
                grabbed += 1
        return Verdict(successful=True, message=f"Album search completed. {grabbed} reports downloaded.")

    async def _refresh_artist(self, parameters: Mapping[str, Any]) -> Verdict:
        await asyncio.sleep(self.timing.refresh)
        artist = self.library.artists[parameters["artistId"]]
        self.library.refresh(artist)
        return Verdict(successful=True, message=f"Refreshed {artist.name}")

    async def _refresh_downloads(self, _parameters: Mapping[str, Any]) -> Verdict:
        self.downloads.refresh_soon()
        return Verdict(successful=True, message="Completed")

    def _next_release(self, album: LibraryAlbum) -> Outcome | None:
        mbid = album.source.mbid
        used = self._used.get(mbid, 0)
        outcomes = self.scenario(album.source).outcomes
        if used >= len(outcomes):
            return None
        self._used[mbid] = used + 1
        return outcomes[used]

    def _search_again(self, album_ids: list[int]) -> None:
        if self.redownloads_failed:
            self.commands.submit("AlbumSearch", {"albumIds": album_ids, "automatic": True})
