"""The API of artists, albums, tracks and files, with its look-ups and validators."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.demo.albums import Album
from deploy.demo.lidarr import resources
from deploy.demo.lidarr.answers import (
    RefusedError,
    answering,
    internal_error,
    metadata_unavailable,
    not_found,
    object_of,
    violations,
)
from deploy.demo.lidarr.library import METADATA_PROFILES, QUALITY_PROFILES, Artist, LibraryAlbum
from deploy.demo.lidarr.resources import Json
from deploy.demo.lidarr.state import Lidarr

_PREFIXES = ("lidarr:", "lidarrid:", "mbid:")


class MusicRoutes:
    """Routes over the library of a pretended Lidarr."""

    def __init__(self, lidarr: Lidarr) -> None:
        self._lidarr = lidarr
        self._library = lidarr.library

    def routes(self) -> list[Route]:
        """The routes, below `/api/v1`."""
        return [
            Route("/artist", answering(self._artists)),
            Route("/artist", answering(self._add_artist), methods=["POST"]),
            Route("/artist/lookup", answering(self._look_up_artist)),
            Route("/artist/{id:int}", answering(self._artist)),
            Route("/album", answering(self._albums)),
            Route("/album", answering(self._add_album), methods=["POST"]),
            Route("/album/lookup", answering(self._look_up_album)),
            Route("/album/monitor", answering(self._monitor), methods=["PUT"]),
            Route("/album/{id:int}", answering(self._album)),
            Route("/track", answering(self._tracks)),
            Route("/trackfile", answering(self._track_files)),
        ]

    async def _artists(self, request: Request) -> Response:
        mbid = request.query_params.get("mbId")
        rows = [artist for artist in self._library.artists.values() if mbid in (None, artist.mbid)]
        return JSONResponse([resources.artist(self._library, row) for row in rows])

    async def _artist(self, request: Request) -> Response:
        row = self._library.artists.get(request.path_params["id"])
        if row is None:
            raise not_found("Artist")
        return JSONResponse(resources.artist(self._library, row))

    async def _albums(self, request: Request) -> Response:
        query = request.query_params
        rows = list(self._library.albums.values())
        if "foreignAlbumId" in query:
            rows = [row for row in rows if row.source.mbid == query["foreignAlbumId"]]
        if "artistId" in query:
            rows = [row for row in rows if str(row.artist_id) == query["artistId"]]
        if wanted := query.getlist("albumIds"):
            rows = [row for row in rows if str(row.id) in wanted]
        return JSONResponse([resources.album(self._library, row) for row in rows])

    async def _album(self, request: Request) -> Response:
        return JSONResponse(resources.album(self._library, self._album_row(request.path_params["id"])))

    async def _look_up_artist(self, request: Request) -> Response:
        self._need_metadata()
        term = request.query_params.get("term", "")
        names = {album.artist_mbid: album.artist for album in self._library.catalogue.values()}
        found = [(mbid, name) for mbid, name in names.items() if _matches(term, mbid, name)]
        return JSONResponse([self._found_artist(mbid, name) for mbid, name in found])

    async def _look_up_album(self, request: Request) -> Response:
        self._need_metadata()
        term = request.query_params.get("term", "")
        found = [
            album
            for album in self._library.catalogue.values()
            if _matches(term, album.mbid, f"{album.artist} {album.title}")
        ]
        return JSONResponse([self._found_album(album) for album in found])

    async def _add_artist(self, request: Request) -> Response:
        body = await object_of(request)
        artist = await self._new_artist(body, required_name=True)
        return _created(resources.artist(self._library, artist), f"/api/v1/artist/{artist.id}")

    async def _add_album(self, request: Request) -> Response:
        body = await object_of(request)
        mbid, embedded = str(body.get("foreignAlbumId") or ""), body.get("artist") or {}
        if self._library.find_album(mbid):
            text = "This album has already been added."
            raise violations(resources.violation("ForeignAlbumId", text, mbid, "AlbumExistsValidator"))
        known = self._library.find_artist(str(embedded.get("foreignArtistId") or ""))
        if broken := list(self._broken_rules(embedded, prefix="Artist.")):
            raise violations(*broken)
        source = self._known_album(mbid)
        artist = known or await self._new_artist(embedded | {"foreignArtistId": source.artist_mbid})
        row = self._library.add_album(artist, source, monitored=bool(body.get("monitored")))
        row.any_release_ok = bool(body.get("anyReleaseOk", True))
        self._lidarr.counts.albums_added += 1
        self._lidarr.commands.submit("RefreshArtist", {"artistId": artist.id})
        if (body.get("addOptions") or {}).get("searchForNewAlbum"):
            self._lidarr.commands.submit("AlbumSearch", {"albumIds": [row.id]})
        return _created(resources.album(self._library, row), f"/api/v1/album/{row.id}")

    async def _monitor(self, request: Request) -> Response:
        body = await object_of(request)
        rows = [self._album_row(album_id) for album_id in body.get("albumIds") or []]
        for row in rows:
            row.monitored = bool(body.get("monitored"))
        return JSONResponse([resources.album(self._library, row) for row in rows], 202)

    async def _tracks(self, request: Request) -> Response:
        rows = self._albums_of(request)
        return JSONResponse([resources.track(row, entry) for row in rows for entry in row.tracks])

    async def _track_files(self, request: Request) -> Response:
        rows = self._albums_of(request)
        return JSONResponse([resources.track_file(file) for row in rows for file in self._library.files_of(row)])

    async def _new_artist(self, body: Json, *, required_name: bool = False) -> Artist:
        mbid = str(body.get("foreignArtistId") or "")
        if self._library.find_artist(mbid):
            text = "This artist has already been added."
            raise violations(resources.violation("ForeignArtistId", text, mbid, "ArtistExistsValidator"))
        if broken := list(self._broken_rules(body, required_name=required_name)):
            raise violations(*broken)
        name = self._known_artist(mbid)
        options = body.get("addOptions") or {}
        monitor = options.get("monitor", "all")
        artist = self._library.add_artist(
            mbid=mbid,
            name=name,
            path=Path(body.get("path") or self._library.artist_folder(name, Path(body["rootFolderPath"]))),
            quality_profile_id=body["qualityProfileId"],
            metadata_profile_id=body["metadataProfileId"],
            monitored=bool(body.get("monitored")) and monitor != "none",
            monitor_new_items=body.get("monitorNewItems", "all"),
            monitors_albums=monitor == "all" and not options.get("albumsToMonitor"),
            albums_to_monitor=tuple(options.get("albumsToMonitor") or ()),
            added=self._lidarr.clock.now(),
            tags=body.get("tags") or [],
        )
        await self._lidarr.add_artist(artist)
        return artist

    def _broken_rules(self, body: Json, *, prefix: str = "", required_name: bool = False) -> Iterator[Json]:
        if required_name and not body.get("artistName"):
            yield resources.violation("ArtistName", "'Artist Name' must not be empty.", "", "NotEmptyValidator")
        if not body.get("foreignArtistId"):
            name = f"{prefix}ForeignArtistId"
            yield resources.violation(name, "'Foreign Artist Id' must not be empty.", "", "NotEmptyValidator")
        for name, known in (("QualityProfileId", QUALITY_PROFILES), ("MetadataProfileId", METADATA_PROFILES)):
            value = body.get(name[0].lower() + name[1:], 0)
            if value not in known:
                text = f"{name.removesuffix('Id')} does not exist"
                yield resources.violation(prefix + name, text, value, f"{name.removesuffix('Id')}ExistsValidator")
        root = body.get("rootFolderPath")
        if not body.get("path") and (not root or Path(root) != self._library.root):
            text = "Root folder path is invalid" if root else "'Root Folder Path' must not be empty."
            code = "RootFolderExistsValidator" if root else "NotEmptyValidator"
            yield resources.violation(f"{prefix}RootFolderPath", text, root or "", code)

    def _known_artist(self, mbid: str) -> str:
        self._need_metadata(adding=True)
        if name := self._library.known_artist(mbid):
            return name
        text = f"An artist with this ID was not found {mbid}"
        raise violations(resources.violation("MusicbrainzId", text, mbid, ""))

    def _known_album(self, mbid: str) -> Album:
        self._need_metadata(adding=True)
        if album := self._library.catalogue.get(mbid):
            return album
        raise violations(resources.violation("MusicbrainzId", f"An album with this ID was not found {mbid}", mbid, ""))

    def _need_metadata(self, *, adding: bool = False) -> None:
        if not self._lidarr.metadata_is_up:
            raise internal_error("Unable to communicate with LidarrAPI.") if adding else metadata_unavailable()

    def _found_artist(self, mbid: str, name: str) -> Json:
        known = self._library.find_artist(mbid)
        return resources.artist(self._library, known) if known else resources.unknown_artist(mbid, name)

    def _found_album(self, album: Album) -> Json:
        known = self._library.find_album(album.mbid)
        return resources.album(self._library, known) if known else resources.unknown_album(self._library, album)

    def _album_row(self, album_id: int) -> LibraryAlbum:
        row = self._library.albums.get(album_id)
        if row is None:
            raise not_found("Album")
        return row

    def _albums_of(self, request: Request) -> list[LibraryAlbum]:
        query = request.query_params
        rows = self._library.albums.values()
        if "albumId" in query:
            return [row for row in rows if str(row.id) == query["albumId"]]
        if "artistId" in query:
            return [row for row in rows if str(row.artist_id) == query["artistId"]]
        raise RefusedError(400, {"message": "artistId or albumId must be provided"})


def _matches(term: str, mbid: str, text: str) -> bool:
    prefix = next((prefix for prefix in _PREFIXES if term.lower().startswith(prefix)), None)
    if prefix is None:
        words = re.findall(r"\w+", term.lower())
        return bool(words) and set(words) <= set(re.findall(r"\w+", text.lower()))
    try:
        return uuid.UUID(term[len(prefix) :].strip()) == uuid.UUID(mbid)
    except ValueError:
        return False


def _created(resource: Json, location: str) -> Response:
    return JSONResponse(resource, 201, headers={"Location": location})
