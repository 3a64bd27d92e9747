"""Lidarr's own library as one who knows albums: the edition that it monitors is the one that is wanted there."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol

from libs.outbound.client import UNREADABLE
from libs.telemetry.logger import get_logger
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.knowledge import Edition, Knowledge
from services.acquisition.domain.lidarr import LidarrFault, LidarrNotConfigured

log = get_logger()

Row = Mapping[str, Any]


class LidarrReads(Protocol):
    """What reads from Lidarr."""

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON at a path below `/api/v1`; raises LidarrFault."""
        ...


class LidarrLibrary:
    """Implements `domain.knowledge.Knower`, of albums that Lidarr has already; it is asked for nothing else."""

    def __init__(self, client: LidarrReads) -> None:
        self._client = client

    async def knowledge(self, album: Album) -> Knowledge | None:
        """The monitored edition, unless the wish names another.

        A Lidarr that is away is passed over: albums from elsewhere would wait for one that may never come back.
        """
        if not album.release_group_mbid:
            return None
        try:
            return await self._of(album.release_group_mbid.strip().lower(), album.release_mbid)
        except LidarrNotConfigured:
            return None
        except LidarrFault as error:
            log.warning("knowledge.lidarr_passed_over", why=str(error))
        except UNREADABLE:
            log.warning("knowledge.lidarr_passed_over", why="Lidarr answers something else than expected.")
        return None

    async def _of(self, mbid: str, release_mbid: str | None) -> Knowledge | None:
        for album in await self._client.get("/album", {"foreignAlbumId": mbid}):
            release = _monitored(album["releases"])
            if release is not None and release_mbid in (None, release["foreignReleaseId"]):
                return _knowledge(album, release, await self._client.get("/track", {"albumId": album["id"]}))
        return None


def _monitored(releases: Iterable[Row]) -> Row | None:
    return next((release for release in releases if release.get("monitored")), None)


def _knowledge(album: Row, release: Row, rows: Iterable[Row]) -> Knowledge | None:
    tracks = tuple(_tracks(rows))
    if not tracks:
        return None
    year = str(album.get("releaseDate") or "")[:4]
    edition = Edition(
        release_mbid=str(release["foreignReleaseId"]),
        title=str(release["title"]),
        tracks=tracks,
        disambiguation=release.get("disambiguation") or "",
    )
    return Knowledge(
        artist=str(album["artist"]["artistName"]),
        title=str(album["title"]),
        release_group_mbid=str(album["foreignAlbumId"]),
        year=int(year) if year.isdecimal() else None,
        editions=(edition,),
    )


def _tracks(rows: Iterable[Row]) -> Iterator[Track]:
    """Numbered on each disc: Lidarr numbers a vinyl's tracks A1 to B6."""
    last: dict[int, int] = {}
    for row in sorted(rows, key=lambda row: (int(row["mediumNumber"]), int(row["absoluteTrackNumber"]))):
        disc = int(row["mediumNumber"])
        last[disc] = last.get(disc, 0) + 1
        length = timedelta(milliseconds=int(row.get("duration") or 0)) or None
        yield Track(disc=disc, number=last[disc], title=str(row["title"]), duration=length)
