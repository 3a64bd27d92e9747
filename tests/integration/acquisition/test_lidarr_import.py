"""Verified files handed to the manual import of the stateful fake, over HTTP."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path, PurePosixPath

import httpx
import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import album_files, invent_albums
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.files import LibraryFile
from services.acquisition.domain.lidarr import LidarrRefused
from services.acquisition.domain.publishing import Awaited, Parcel, VerifiedFile
from services.acquisition.library import StagedFileMissing
from services.acquisition.lidarr.client import LidarrAddress, LidarrClient
from services.acquisition.lidarr.importer import LidarrImporter, StagedTrack, Underway
from services.acquisition.lidarr.limits import Pace
from services.acquisition.lidarr.shelf import LidarrShelf, as_seen
from services.acquisition.lidarr.source import LidarrChoices, LidarrSource
from services.acquisition.metrics import AcquisitionMetrics

CLOCK = SystemClock()


@dataclass
class Hand:
    """A Lidarr, what hands albums to it, and an album that is staged."""

    lidarr: LidarrWorld
    importer: LidarrImporter
    invented: InventedAlbum
    folder: Path

    @property
    def album(self) -> Album:
        invented = self.invented
        return Album(artist=invented.artist, title=invented.title, release_group_mbid=invented.mbid)

    @property
    def staged(self) -> list[StagedTrack]:
        return [
            StagedTrack(
                path=self.folder / f"{track.number:02}.flac",
                size=len(content),
                disc=1,
                number=track.number,
                title=track.title,
            )
            for track, content in zip(self.invented.tracks, album_files(self.invented), strict=True)
        ]

    async def handed(self, staged: Sequence[StagedTrack] = ()) -> tuple[LibraryFile, ...]:
        async with asyncio.timeout(30):
            while isinstance(files := await self.importer.hand_over(self.album, staged or self.staged), Underway):
                await asyncio.sleep(0.02)
        return files

    def imports(self) -> int:
        return self.lidarr.lidarr.commands.count("ManualImport")


@pytest.fixture
async def hand(tmp_path: Path) -> AsyncIterator[Hand]:
    albums = invent_albums(1, seed=13, tracks=2)
    downloads = tmp_path / "downloads"
    folder = downloads / "acq-1" / "1"
    folder.mkdir(parents=True)
    for track, content in zip(albums[0].tracks, album_files(albums[0]), strict=True):
        (folder / f"{track.number:02}.flac").write_bytes(content)
    (tmp_path / "seen").symlink_to(downloads)  # Lidarr has the same folder under another name
    async with LidarrWorld(tmp_path / "music", albums) as lidarr, httpx.AsyncClient(verify=False) as http:
        address = LidarrAddress(url=lidarr.url, api_key=lidarr.api_key)
        metrics = AcquisitionMetrics(Metrics(), CLOCK)
        pace = Pace(CLOCK, per_second=1000)
        client = LidarrClient(http, address=lambda: address, clock=CLOCK, metrics=metrics, pace=pace)
        source = LidarrSource(client, choices=LidarrChoices)
        seen = lambda path: str(tmp_path / "seen" / path.relative_to(downloads))  # noqa: E731
        importer = LidarrImporter(client, source, as_seen=seen)
        yield Hand(lidarr=lidarr, importer=importer, invented=albums[0], folder=folder)


async def test_lidarr_gets_the_album_under_its_own_names(hand: Hand) -> None:
    files = await hand.handed()

    assert tuple(Path(file.path).read_bytes() for file in files) == album_files(hand.invented)
    assert all(Path(file.path).is_relative_to(hand.lidarr.root) for file in files)


async def test_what_was_staged_stays_until_somebody_knows_that_it_arrived(hand: Hand) -> None:
    await hand.handed()

    assert all(track.path.is_file() for track in hand.staged)


async def test_asking_again_after_a_crash_imports_nothing_twice(hand: Hand) -> None:
    first = await hand.handed()

    assert await hand.handed() == first
    assert hand.imports() == 1


async def test_tracks_that_lidarr_has_already_keep_their_files(hand: Hand) -> None:
    first = await hand.handed()
    library = hand.lidarr.lidarr.library
    (row,) = library.albums.values()
    row.tracks[1].file_id = 0
    hand.folder = hand.folder.rename(hand.folder.with_name("2"))

    files = await hand.handed()

    assert files[0] == first[0]
    assert len(library.files) == 3


async def test_a_folder_that_lidarr_does_not_see_is_told_as_such(hand: Hand) -> None:
    (hand.folder.parents[2] / "seen").unlink()

    with pytest.raises(LidarrRefused, match=r"lidarr\.downloadPath"):
        await hand.handed()


async def test_an_import_that_lidarr_refuses_ends_with_its_reasons(hand: Hand) -> None:
    hand.lidarr.lidarr.manual_imports.refused = True

    with pytest.raises(LidarrRefused, match="imported nothing"):
        await hand.handed()


def shelf_of(hand: Hand) -> LidarrShelf:
    return LidarrShelf(hand.importer, minimum_free=lambda: 0, patience=lambda: timedelta(days=1))


def parcel_of(hand: Hand) -> Parcel:
    files = [
        VerifiedFile(
            path=one.path,
            name="",
            size=one.size,
            sha256="",
            track=Track(disc=1, number=one.number, title=one.title),
        )
        for one in hand.staged
    ]
    cover = hand.folder / "cover.jpg"
    cover.write_bytes(b"a")
    return Parcel(
        token="acq-1",
        album=hand.album,
        release_mbid="",
        folder=PurePosixPath("A/B"),
        staging=hand.folder,
        files=(*files, VerifiedFile(path=cover, name="cover.jpg", size=1, sha256="")),
    )


async def test_a_file_that_was_changed_while_lidarr_was_awaited_is_not_handed_over(hand: Hand) -> None:
    hand.staged[1].path.write_bytes(b"something else")

    with pytest.raises(StagedFileMissing):
        await hand.handed()
    assert hand.imports() == 0


async def test_what_lidarr_has_already_needs_no_staged_files(hand: Hand) -> None:
    first = await hand.handed()
    shutil.rmtree(hand.folder)  # a crash may come after this, and before anybody noted that the album is there

    assert await hand.handed() == first


async def test_the_shelf_waits_for_lidarr_and_then_tells_its_files(hand: Hand) -> None:
    shelf = shelf_of(hand)
    parcel = parcel_of(hand)

    async with asyncio.timeout(30):
        while isinstance(published := await shelf.publish(parcel), Awaited):
            await asyncio.sleep(0.02)

    assert len(published.files) == 2


async def test_the_shelf_waits_for_a_lidarr_that_is_away(hand: Hand) -> None:
    await hand.lidarr.go_down()
    parcel = Parcel(
        token="acq-1", album=hand.album, release_mbid="", folder=PurePosixPath("A"), staging=hand.folder, files=()
    )

    assert isinstance(await shelf_of(hand).publish(parcel), Awaited)


@pytest.mark.parametrize(
    ("theirs", "seen"),
    [
        (None, "/downloads/acq-1/1/01.flac"),
        ("/data/in/", "/data/in/acq-1/1/01.flac"),
        ("D:\\in", "D:\\in\\acq-1\\1\\01.flac"),
    ],
)
def test_a_path_is_told_as_lidarr_sees_it(theirs: str | None, seen: str) -> None:
    path = Path("/downloads/acq-1/1/01.flac")

    assert as_seen(path, downloads=Path("/downloads"), theirs=theirs) == seen


async def test_an_edition_with_other_tracks_is_told_as_such(hand: Hand) -> None:
    wrong = [replace(hand.staged[0], disc=2)]
    await hand.handed()

    with pytest.raises(LidarrRefused, match="no track 1 of disc 2"):
        await hand.importer.hand_over(hand.album, wrong)


async def test_no_file_is_given_the_name_of_another_track(hand: Hand) -> None:
    one, two = hand.staged

    with pytest.raises(LidarrRefused, match="where ours has"):
        await hand.handed([replace(one, title=two.title), replace(two, title=one.title)])
    assert hand.imports() == 0
