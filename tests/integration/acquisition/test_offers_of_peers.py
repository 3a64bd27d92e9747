"""Albums that come from several peers: what has arrived stays, and only the rest is asked elsewhere."""

import asyncio
import errno
import io
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import invent_albums
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import AttemptState, FileState
from services.acquisition.domain.knowledge import Edition, Knowledge
from services.acquisition.domain.peers import PeerFailed
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.publishing import Awaited, Parcel, Published
from services.acquisition.domain.reputation import PeerRecord
from services.acquisition.domain.step import Job
from services.acquisition.domain.verification import Delivery, Finding
from services.acquisition.shelf import ChosenShelf, LiveShelf
from tests.integration.acquisition.conftest import peer
from tests.integration.acquisition.network import Peer
from tests.integration.acquisition.world import World
from tests.support.full_disk import files_limited_to
from tests.support.memory_records import MemoryRecords
from tests.support.waiting import eventually

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08\x02\x00\x00\x00" + bytes(4) + b"IEND1234"
)


@pytest.fixture(scope="session")
def invented() -> InventedAlbum:
    """An album of four short tracks."""
    return invent_albums(1, seed=11, tracks=4)[0]


def part(name: str, invented: InventedAlbum, *numbers: int) -> Peer:
    """A peer with the folder of the album, but only these tracks in it."""
    whole = peer(name, invented)
    kept = [path for number, path in enumerate(sorted(whole.files), start=1) if number in numbers]
    whole.files = {path: whole.files[path] for path in kept}
    return whole


def spoiled(name: str, invented: InventedAlbum, *numbers: int) -> Peer:
    """A peer with the whole album, of which these tracks are no music."""
    liar = peer(name, invented)
    for number, path in enumerate(sorted(liar.files), start=1):
        if number in numbers:
            liar.files[path] = b"?" * len(liar.files[path])
    return liar


def fetched_of(world: World, name: str) -> list[int]:
    """The numbers of the tracks that a peer was asked for, in order."""
    return sorted(int(path.rpartition("\\")[2][:2]) for one, path in world.network.fetched if one == name)


async def test_an_album_that_nobody_has_whole_comes_from_two(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [part("ada", invented, 1, 2, 3), part("bob", invented, 2, 3, 4)]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert (fetched_of(world, "ada"), fetched_of(world, "bob")) == ([1, 2, 3], [4])
    assert len(world.published()) == 4


async def test_the_attempt_names_all_peers_and_why_they_were_taken(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [part("ada", invented, 1, 2, 3), part("bob", invented, 4)]

    done, _ = await world.run(world.job())

    (attempt,) = done.attempts
    assert (attempt.peer, attempt.peers) == ("ada", ("ada", "bob"))
    assert {"title", "artist", "quality", "slot", "history"} <= set(attempt.score)


async def test_whole_folders_come_before_a_mix(world: World, invented: InventedAlbum) -> None:
    busy = replace(peer("whole", invented))
    world.network.peers = [part("ada", invented, 1, 2), part("bob", invented, 3, 4), busy]

    done, _ = await world.run(world.job())

    assert done.attempts[0].peers == ("whole",)


async def test_one_bad_file_is_replaced_and_the_good_ones_stay(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [spoiled("aaron", invented, 3), peer("ada", invented)]

    done, _ = await world.run(world.job())

    failed, succeeded = done.attempts
    assert failed.failure is not None
    assert (failed.peer, failed.failure.reason) == ("aaron", "NOT_DECODABLE")
    assert (succeeded.state, succeeded.peers) == (AttemptState.SUCCEEDED, ("ada", "aaron"))
    assert (fetched_of(world, "aaron"), fetched_of(world, "ada")) == ([1, 2, 3, 4], [3])


async def test_without_a_track_list_a_bad_file_is_replaced_by_its_number(world: World, invented: InventedAlbum) -> None:
    world.album = replace(world.album, tracks=())
    world.network.peers = [spoiled("aaron", invented, 3), peer("ada", invented)]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert fetched_of(world, "ada") == [3]


async def test_a_peer_that_goes_away_leaves_what_it_sent(world: World, invented: InventedAlbum) -> None:
    broken = peer("aaron", invented)
    broken.faults[sorted(broken.files)[2]] = PeerFailed("TRANSFER_BROKEN", "aaron broke off.")
    world.network.peers = [broken, peer("ada", invented)]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert sorted([*fetched_of(world, "ada"), *(set(fetched_of(world, "aaron")) - {3})]) == [1, 2, 3, 4]


async def test_a_file_that_is_refused_does_not_stop_the_others_of_its_peer(
    world: World, invented: InventedAlbum
) -> None:
    shy = peer("aaron", invented)
    shy.faults[sorted(shy.files)[0]] = PeerFailed("TRANSFER_REJECTED", "aaron does not share it.")
    world.network.peers = [shy, peer("ada", invented)]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert (fetched_of(world, "aaron"), fetched_of(world, "ada")) == ([1, 2, 3, 4], [1])


async def test_kept_files_wait_for_the_next_search(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [spoiled("aaron", invented, 3)]
    waiting, moves = await world.run(world.job())
    world.network.peers.append(part("ada", invented, 3))

    done, _ = await world.run(Job(acquisition=waiting, plan=moves[-1].plan))

    assert waiting.state is State.WAITING
    assert done.state is State.COMPLETED
    assert fetched_of(world, "aaron") == [1, 2, 3, 4]


async def test_every_step_of_a_repair_can_be_repeated(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [spoiled("aaron", invented, 3), peer("ada", invented)]
    job = world.job()
    while job.acquisition.active:
        await world.steps.advance(job, world.hear)  # its result was lost in a crash
        move = await world.steps.advance(job, world.hear)
        job = Job(acquisition=move.acquisition, plan=move.plan)

    assert job.acquisition.state is State.COMPLETED
    assert len(world.published()) == 4
    assert world.staged() == []


async def test_tracks_that_nobody_offered_are_searched_for_one_by_one(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [part("ada", invented, 1, 2, 3)]

    await world.run(world.job())

    title = world.album.tracks[3].title.lower()
    assert world.network.asked[-1] == f"{world.album.artist.lower()} {title}"


async def test_a_track_that_only_is_missing_is_searched_for_when_the_others_are_here(
    world: World, invented: InventedAlbum
) -> None:
    world.network.peers = [spoiled("aaron", invented, 3)]
    waiting, moves = await world.run(world.job())
    world.network.peers = []

    await world.run(Job(acquisition=waiting, plan=moves[-1].plan))

    assert world.network.asked[-1].endswith(world.album.tracks[2].title.lower())


async def test_a_part_of_an_album_is_no_album(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [part("ada", invented, 1, 2, 3)]

    failed, _ = await world.run(world.last_search())

    assert failed.failure is not None
    assert failed.failure.reason == "NO_CANDIDATES"
    assert world.network.fetched == []


async def test_a_part_is_imported_where_that_is_allowed_and_says_what_is_missing(
    world: World, invented: InventedAlbum
) -> None:
    world.taste = Taste(allow_partial=True)
    world.network.peers = [part("ada", invented, 1, 2, 3)]

    done, _ = await world.run(world.last_search())

    assert done.state is State.COMPLETED
    assert done.missing == (world.album.tracks[3],)
    assert len(world.published()) == 3


async def test_less_than_half_is_never_imported(world: World, invented: InventedAlbum) -> None:
    world.taste = Taste(allow_partial=True)
    world.network.peers = [part("ada", invented, 1)]

    failed, _ = await world.run(world.last_search())

    assert failed.state is State.FAILED
    assert world.staged() == []


async def test_what_stayed_is_imported_as_a_part_when_nobody_has_the_rest(
    world: World, invented: InventedAlbum
) -> None:
    world.taste = Taste(allow_partial=True)
    world.network.peers = [spoiled("aaron", invented, 2)]

    done, _ = await world.run(world.last_search())

    assert done.missing == (world.album.tracks[1],)
    assert fetched_of(world, "aaron") == [1, 2, 3, 4]


async def test_the_cover_comes_along(world: World, invented: InventedAlbum) -> None:
    ada = peer("ada", invented)
    folder = next(iter(ada.files)).rpartition("\\")[0]
    ada.files[f"{folder}\\Cover.PNG"] = PNG
    world.network.peers = [ada]

    done, _ = await world.run(world.job())

    cover = next(file for file in done.files if file.path.endswith("/cover.png"))
    assert Path(cover.path).read_bytes() == PNG


@pytest.mark.parametrize("content", [b"no picture at all", PNG[:20]])
async def test_a_cover_that_is_none_does_not_matter(world: World, invented: InventedAlbum, content: bytes) -> None:
    ada = peer("ada", invented)
    ada.files[next(iter(ada.files)).rpartition("\\")[0] + "\\cover.png"] = content
    world.network.peers = [ada]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert len(world.published()) == 4


async def test_a_cover_that_does_not_come_does_not_matter(world: World, invented: InventedAlbum) -> None:
    ada = peer("ada", invented)
    path = next(iter(ada.files)).rpartition("\\")[0] + "\\cover.png"
    ada.files[path], ada.faults[path] = PNG, PeerFailed("TRANSFER_STALLED", "ada stopped.")
    world.network.peers = [ada]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert ("ada", "TRANSFER_STALLED") not in world.records.told


async def test_a_claim_of_loss_less_quality_that_does_not_hold_is_refused(
    world: World, invented: InventedAlbum
) -> None:
    liar = peer("aaron", invented)
    liar.claims = {"bit_depth": 24, "sample_rate": 96_000}
    world.network.peers = [liar, peer("ada", invented)]

    done, _ = await world.run(world.job())

    failed, succeeded = done.attempts
    assert failed.failure is not None
    assert (failed.peer, failed.failure.reason, succeeded.peers) == ("aaron", "FALSE_QUALITY", ("ada",))


async def test_an_mp3_that_calls_itself_flac_is_refused(world: World, invented: InventedAlbum) -> None:
    liar = peer("aaron", invented)
    shortest = min(liar.files, key=lambda path: len(liar.files[path]))
    liar.files[shortest] = as_mp3(liar.files[shortest])
    world.network.peers = [liar, peer("ada", invented)]

    done, _ = await world.run(world.job())

    assert [attempt.failure.reason for attempt in done.attempts if attempt.failure] == ["WRONG_CONTAINER"]
    assert done.state is State.COMPLETED


def as_mp3(flac: bytes) -> bytes:
    """The same sound, lossy."""
    made = io.BytesIO()
    with av.open(io.BytesIO(flac), "r") as read, av.open(made, "w", format="mp3") as write:
        stream = write.add_stream("libmp3lame", rate=44_100)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=44_100)
        for frame in read.decode(audio=0):
            for piece in resampler.resample(frame):
                write.mux(stream.encode(piece))
        write.mux(stream.encode(None))
    return made.getvalue()


async def test_of_two_equal_files_the_one_that_is_itself_stays(world: World, invented: InventedAlbum) -> None:
    muddled = peer("aaron", invented)
    first, second, *_ = sorted(muddled.files)
    muddled.files[first] = muddled.files[second]
    world.network.peers = [muddled, peer("ada", invented)]

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert fetched_of(world, "ada") == [1]


async def test_what_peers_deliver_is_remembered(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [spoiled("aaron", invented, 3), peer("ada", invented)]

    await world.run(world.job())

    third = len(sorted(world.network.peers[1].files.items())[2][1])
    assert world.records.told == [("aaron", "NOT_DECODABLE"), ("ada", third)]


async def test_a_blocked_peer_is_not_asked(world: World, invented: InventedAlbum) -> None:
    far = world.job().acquisition.created + timedelta(days=1)
    world.records = MemoryRecords(PeerRecord(peer="ada", failures=3, blocked_until=far))
    world.steps = world.steps_with()
    world.network.peers = [peer("ada", invented), peer("bob", invented)]

    done, _ = await world.run(world.job())

    assert done.attempts[0].peers == ("bob",)


async def test_progress_tells_of_every_file(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [part("ada", invented, 1, 2, 3), part("bob", invented, 4)]

    await world.run(world.job())

    last = world.heard[-1]
    assert [file.peer for file in last.files] == ["ada", "ada", "ada", "bob"]
    assert {file.state for file in last.files} == {FileState.DONE}
    assert sum(file.total_bytes for file in last.files) == last.total_bytes == last.received_bytes


async def test_progress_tells_the_place_in_the_queue_of_a_peer(world: World, invented: InventedAlbum) -> None:
    ada = peer("ada", invented)
    ada.hangs, ada.place = True, 7
    world.network.peers = [ada]
    trying, moves = await world.run(world.job(), until=State.DOWNLOADING)
    step = asyncio.create_task(world.steps.advance(Job(acquisition=trying, plan=moves[-1].plan), world.hear))

    async def queued() -> bool:
        return any(file.place_in_queue == 7 for progress in world.heard for file in progress.files)

    await eventually(queued)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    told = sorted((file.place_in_queue, file.state) for file in world.heard[-1].files)
    assert told == [*[(0, FileState.PENDING)] * 3, (7, FileState.QUEUED)]


async def test_a_recogniser_has_the_last_word(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [peer("aaron", invented), peer("ada", invented)]
    world.steps = world.steps_with(recogniser=Doubts())

    done, _ = await world.run(world.job())

    assert [attempt.failure.reason for attempt in done.attempts if attempt.failure] == ["OTHER_RECORDING"]
    assert (done.state, fetched_of(world, "ada")) == (State.COMPLETED, [2])


class Doubts:
    """Recognises the second track as another recording, once."""

    def __init__(self) -> None:
        message = "Sounds like another song."
        self._findings = [Finding(reason="OTHER_RECORDING", file="02", message=message, position=(1, 2))]

    async def findings(self, album: Album, deliveries: Sequence[Delivery]) -> Sequence[Finding]:
        found, self._findings = self._findings, []
        return found


class Knows:
    """Knows an edition of every album with a fifth track, and the plain one."""

    def __init__(self, *lists: tuple[Track, ...]) -> None:
        self._lists = lists

    async def knowledge(self, album: Album) -> Knowledge | None:
        editions = tuple(
            Edition(release_mbid=f"release-{at}", title=album.title, tracks=tracks)
            for at, tracks in enumerate(self._lists)
        )
        return Knowledge(artist=album.artist, title=album.title, year=1999, editions=editions)


async def test_the_edition_that_is_offered_is_taken_and_verified(world: World, invented: InventedAlbum) -> None:
    tracks = world.album.tracks
    deluxe = (*tracks, Track(disc=1, number=5, title="A Bonus That Nobody Has"))
    world.album = replace(world.album, tracks=(), year=None)
    world.network.peers = [peer("ada", invented)]
    shelf = Parcels(world.music)
    world.steps = world.steps_with(knower=Knows(deluxe, tracks), shelf=shelf)

    done, _ = await world.run(world.job())

    assert done.state is State.COMPLETED
    assert shelf.parcels[0].release_mbid == "release-1"
    assert shelf.parcels[0].folder.name.endswith("(1999)")


class Parcels(LiveShelf):
    """A library that somebody else keeps: it imports a while later."""

    def __init__(self, music: Path, *, delays: int = 0) -> None:
        super().__init__(lambda: music)
        self.parcels: list[Parcel] = []
        self._delays = delays
        self.patience: timedelta | None = None

    async def publish(self, parcel: Parcel) -> Published | Awaited:  # type: ignore[override]  # a wider answer
        self.parcels.append(parcel)
        if len(self.parcels) <= self._delays:
            return Awaited(delay=timedelta(seconds=30), patience=self.patience)
        return await super().publish(parcel)


async def test_an_import_by_somebody_else_is_waited_for(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [peer("ada", invented)]
    shelf = Parcels(world.music, delays=1)
    world.steps = world.steps_with(shelf=ChosenShelf(lambda: shelf))
    waiting, moves = await world.run(world.job())

    done, _ = await world.run(Job(acquisition=waiting, plan=moves[-1].plan))

    assert (waiting.state, moves[-1].delay) == (State.WAITING, timedelta(seconds=30))
    assert done.state is State.COMPLETED
    assert [file.track for file in shelf.parcels[0].files] == [
        replace(track, duration=file.track.duration if file.track else None)
        for track, file in zip(world.album.tracks, shelf.parcels[0].files, strict=True)
    ]


async def test_an_import_that_never_comes_has_an_end(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [peer("ada", invented)]
    shelf = Parcels(world.music, delays=1)
    shelf.patience = timedelta()
    world.steps = world.steps_with(shelf=ChosenShelf(lambda: shelf))

    failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert (failed.failure.reason, world.staged()) == ("IMPORT_STALLED", [])


async def test_an_attempt_of_a_version_before_begins_again(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [peer("ada", invented)]
    trying, _ = await world.run(world.job(), until=State.DOWNLOADING)

    done, _ = await world.run(Job(acquisition=trying, plan={"offers": []}))

    assert [attempt.state for attempt in done.attempts] == [AttemptState.FAILED, AttemptState.SUCCEEDED]


async def test_a_disk_that_fills_up_while_fetching_leaves_nothing(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [peer("ada", invented)]

    with files_limited_to(2000):
        failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert (failed.failure.reason, world.staged(), world.published()) == ("DISK_FULL", [], [])
    assert world.records.told == []


async def test_a_library_that_fills_up_while_publishing_leaves_nothing(
    world: World, invented: InventedAlbum, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.network.peers = [peer("ada", invented)]
    importing, moves = await world.run(world.job(), until=State.IMPORTING)
    monkeypatch.setattr(os, "link", another_disk)

    with files_limited_to(2000):
        failed, _ = await world.run(Job(acquisition=importing, plan=moves[-1].plan))

    assert failed.failure is not None
    assert (failed.failure.reason, world.staged(), world.published()) == ("DISK_FULL", [], [])


def another_disk(*_: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


async def test_too_little_room_is_told_before_anybody_is_asked(world: World, invented: InventedAlbum) -> None:
    world.network.peers = [peer("ada", invented)]
    world.steps = world.steps_with(shelf=LiveShelf(lambda: world.music, minimum_free=lambda: 1 << 60))

    failed, _ = await world.run(world.job())

    assert failed.failure is not None
    assert failed.failure.reason == "DISK_FULL"
    assert world.network.asked == []
