"""The steps of Lidarr against the stateful fake, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deploy.demo.albums import Album as InventedAlbum
from deploy.demo.albums import invent_albums
from deploy.demo.lidarr.scenario import NO_RELEASE, Outcome, Scenario
from deploy.demo.lidarr.state import Timing
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import SystemClock
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import AttemptState, Progress, Source
from services.acquisition.domain.step import Job
from services.acquisition.lidarr.client import LidarrAddress, LidarrClient
from services.acquisition.lidarr.limits import Pace
from services.acquisition.lidarr.source import LidarrChoices, LidarrSource
from services.acquisition.metrics import AcquisitionMetrics
from services.acquisition.steps.lidarr import LidarrSteps, LidarrTimes

POLL = timedelta(seconds=0.02)
QUICK = Timing(refresh=0.03, clients=0.01)
CLOCK = SystemClock()


@dataclass
class World:
    """A Lidarr, and the steps that use it."""

    lidarr: LidarrWorld
    steps: LidarrSteps
    invented: InventedAlbum
    metrics: Metrics
    source: LidarrSource
    address: LidarrAddress | None = None
    idle: timedelta = timedelta(minutes=1)

    def job(self, album: Album | None = None) -> Job:
        now = CLOCK.now()
        wanted = album or Album(
            artist=self.invented.artist, title=self.invented.title, release_group_mbid=self.invented.mbid
        )
        return Job(acquisition=Acquisition(id="acq-1", album=wanted, source=Source.LIDARR, created=now, updated=now))

    async def run(self, job: Job | None = None, *, until: State | None = None) -> Job:
        """Step by step, as the engine does, to the end or to a state."""
        job = job or self.job()
        async with asyncio.timeout(30):
            while job.acquisition.active:
                move = await self.steps.advance(job, unheard)
                job = Job(acquisition=move.acquisition, plan=move.plan)
                if job.acquisition.state is until:
                    break
                await asyncio.sleep(min(move.delay, POLL).total_seconds())
        return job

    async def outcome(self, job: Job | None = None) -> Acquisition:
        return (await self.run(job)).acquisition

    def searches(self) -> int:
        return self.lidarr.lidarr.commands.count("AlbumSearch")


async def unheard(_: Progress) -> None:
    """Progress that nobody keeps."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    albums = invent_albums(3, seed=11, tracks=3)
    metrics = Metrics()
    served: World
    scenarios = {album.mbid: Scenario(download_seconds=0.05) for album in albums}
    root = tmp_path / "lidarr"
    async with (
        LidarrWorld(root, albums, scenarios=scenarios, timing=QUICK) as lidarr,
        httpx.AsyncClient(verify=False) as http,
    ):
        client = LidarrClient(
            http,
            address=lambda: served.address,
            clock=CLOCK,
            metrics=AcquisitionMetrics(metrics, CLOCK),
            pace=Pace(CLOCK, per_second=1000),
        )
        source = LidarrSource(client, choices=LidarrChoices)
        times = lambda: LidarrTimes(poll_interval=POLL, idle_timeout=served.idle)  # noqa: E731
        steps = LidarrSteps(source, times=times, clock=CLOCK)
        served = World(lidarr=lidarr, steps=steps, invented=albums[0], metrics=metrics, source=source)
        served.address = LidarrAddress(url=lidarr.url, api_key=lidarr.api_key)
        yield served


def reason(acquisition: Acquisition) -> str:
    assert acquisition.failure is not None
    return acquisition.failure.reason


async def test_an_album_is_added_searched_and_complete_when_every_track_has_a_file(world: World) -> None:
    done = await world.outcome()

    assert done.state is State.COMPLETED
    assert len(done.files) == 3
    assert all(Path(file.path).stat().st_size == file.size for file in done.files)
    assert [attempt.state for attempt in done.attempts] == [AttemptState.SUCCEEDED]


async def test_an_outage_that_does_not_end_is_the_turn_of_the_fallback(world: World) -> None:
    world.address = LidarrAddress(url="http://127.0.0.1:1", api_key="key")
    job = world.job()

    failed = await world.outcome(replace(job, acquisition=replace(job.acquisition, fallback=Source.SOULSEEK)))

    assert reason(failed) == "LIDARR_UNAVAILABLE"
    assert failed.handed_over(CLOCK.now()).current is Source.SOULSEEK


async def test_the_attempt_names_the_download_client(world: World) -> None:
    done = await world.outcome()

    assert done.attempts[0].peer


async def test_one_search_is_sent_and_one_album_added(world: World) -> None:
    await world.outcome()

    assert (world.searches(), world.lidarr.lidarr.counts.albums_added) == (1, 1)


async def test_nothing_else_of_the_artist_becomes_wanted(world: World) -> None:
    await world.outcome()

    wanted = [album.source.mbid for album in world.lidarr.lidarr.library.albums.values() if album.monitored]
    assert wanted == [world.invented.mbid]


async def test_an_album_that_lidarr_has_completely_needs_no_search(world: World) -> None:
    await world.outcome()
    searches = world.searches()

    again = await world.outcome()

    assert (again.state, len(again.files), again.attempts) == (State.COMPLETED, 3, ())
    assert world.searches() == searches


async def test_without_any_release_it_fails_as_such(world: World) -> None:
    world.lidarr.lidarr.script(world.invented, NO_RELEASE)

    failed = await world.outcome()

    assert reason(failed) == "NO_RELEASE_FOUND"
    assert [attempt.state for attempt in failed.attempts] == [AttemptState.FAILED]


async def test_a_failed_download_is_followed_by_another(world: World) -> None:
    outcomes = (Outcome.DOWNLOAD_FAILURE, Outcome.SUCCESS)
    world.lidarr.lidarr.script(world.invented, Scenario(outcomes=outcomes, download_seconds=0.05))

    done = await world.outcome()

    assert done.state is State.COMPLETED
    assert len(done.files) == 3


async def test_downloads_that_fail_again_and_again_end_after_three_attempts(world: World) -> None:
    world.lidarr.lidarr.redownloads_failed = False
    outcomes = (Outcome.DOWNLOAD_FAILURE,) * 9
    world.lidarr.lidarr.script(world.invented, Scenario(outcomes=outcomes, download_seconds=0.05))

    failed = await world.outcome()

    assert reason(failed) == "DOWNLOAD_FAILED"
    assert [attempt.state for attempt in failed.attempts] == [AttemptState.FAILED] * 3
    assert world.searches() == 3


async def test_a_release_that_cannot_be_imported_is_thrown_away_and_another_one_is_taken(world: World) -> None:
    outcomes = (Outcome.IMPORT_FAILURE, Outcome.SUCCESS)
    world.lidarr.lidarr.script(world.invented, Scenario(outcomes=outcomes, download_seconds=0.05))

    done = await world.outcome()

    assert [attempt.state for attempt in done.attempts] == [AttemptState.FAILED, AttemptState.SUCCEEDED]
    assert len(world.lidarr.lidarr.downloads.blocklist) == 1
    assert world.searches() == 2  # both are ours: Lidarr did not race with a search of its own


async def test_failed_imports_end_after_three_attempts_and_the_last_one_is_left_for_a_person(world: World) -> None:
    outcomes = (Outcome.IMPORT_FAILURE,) * 9
    world.lidarr.lidarr.script(world.invented, Scenario(outcomes=outcomes, download_seconds=0.05))

    failed = await world.outcome()

    downloads = world.lidarr.lidarr.downloads
    assert (reason(failed), len(failed.attempts), world.searches()) == ("IMPORT_FAILED", 3, 3)
    assert (len(downloads.blocklist), [row.state for row in downloads.rows]) == (2, ["importFailed"])


async def test_a_download_that_lidarr_never_throws_away_is_left_for_a_person_in_the_end(world: World) -> None:
    world.idle = timedelta(seconds=0.3)
    world.lidarr.lidarr.script(world.invented, Scenario(outcomes=(Outcome.IMPORT_FAILURE,), download_seconds=0.05))
    world.lidarr.fail("DELETE", "/api/v1/queue/", 500, times=1000)

    failed = await world.outcome()

    assert (reason(failed), len(failed.attempts)) == ("IMPORT_FAILED", 1)


async def test_a_failed_import_that_a_feed_brought_is_never_touched(world: World) -> None:
    waiting = await world.run(until=State.SEARCHING)
    world.lidarr.lidarr.script(world.invented, Scenario(download_seconds=0.05))
    await world.lidarr.lidarr.foreign_grab(world.invented, outcome=Outcome.IMPORT_FAILURE)

    failed = await world.outcome(waiting)

    downloads = world.lidarr.lidarr.downloads
    assert (reason(failed), len(failed.attempts)) == ("IMPORT_FAILED", 1)
    assert (downloads.blocklist, len(downloads.rows)) == ([], 1)


async def test_a_download_with_other_albums_in_it_is_never_thrown_away(world: World) -> None:
    lidarr = world.lidarr.lidarr
    other = next(album for album in lidarr.library.catalogue.values() if album is not world.invented)
    download = await lidarr.foreign_grab(world.invented, other, outcome=Outcome.IMPORT_FAILURE)
    await asyncio.sleep(0)
    row = lidarr.library.find_album(world.invented.mbid)
    assert row is not None
    assert download.download_id is not None

    await world.source.discard(row.id, [download.download_id])

    assert lidarr.downloads.rows == [download]


@pytest.mark.parametrize("outcome", [Outcome.IMPORT_BLOCKED, Outcome.PARTIAL_IMPORT])
async def test_what_lidarr_cannot_import_fails_with_its_words(world: World, outcome: Outcome) -> None:
    world.lidarr.lidarr.script(world.invented, Scenario(outcomes=(outcome,), download_seconds=0.05))

    failed = await world.outcome()

    assert reason(failed) == "IMPORT_FAILED"
    assert failed.failure is not None
    assert len(failed.failure.message) > len("Lidarr could not import the download: ")


async def test_an_album_that_lidarr_does_not_know_fails_as_such(world: World) -> None:
    unknown = Album(artist="A", title="B", release_group_mbid="00000000-0000-4000-8000-000000000000")

    assert reason(await world.outcome(world.job(unknown))) == "ALBUM_UNKNOWN_TO_LIDARR"


async def test_without_an_mbid_the_exact_names_find_the_album(world: World) -> None:
    named = Album(artist=world.invented.artist.upper(), title=f"{world.invented.title}!")

    assert (await world.outcome(world.job(named))).state is State.COMPLETED


async def test_names_that_are_not_exact_are_never_guessed(world: World) -> None:
    near = Album(artist=world.invented.artist, title=world.invented.title.split()[0])

    assert reason(await world.outcome(world.job(near))) == "ALBUM_AMBIGUOUS"


async def test_a_wrong_key_fails_at_once(world: World) -> None:
    assert world.address is not None
    world.address = replace(world.address, api_key="wrong")

    assert reason(await world.outcome()) == "LIDARR_REFUSED_KEY"


async def test_without_an_address_it_fails_at_once(world: World) -> None:
    world.address = None

    assert reason(await world.outcome()) == "LIDARR_NOT_CONFIGURED"


async def test_an_outage_is_waited_for_and_spends_no_attempt(world: World) -> None:
    searching = await world.run(until=State.SEARCHING)
    await world.lidarr.go_down()
    waiting = await world.steps.advance(searching, unheard)
    assert (waiting.acquisition.state, waiting.acquisition.attempts) == (State.WAITING, ())
    await world.lidarr.come_back()
    assert world.address is not None
    world.address = replace(world.address, url=world.lidarr.url)

    done = await world.outcome(Job(acquisition=waiting.acquisition, plan=waiting.plan))

    assert (done.state, len(done.attempts)) == (State.COMPLETED, 1)


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_server_that_is_not_in_its_right_mind_is_asked_again_later(world: World, status: int) -> None:
    waiting = await world.run(until=State.WAITING)
    world.lidarr.fail("GET", "/api/v1/queue", status, times=6)

    done = await world.outcome(waiting)

    assert (done.state, len(done.attempts)) == (State.COMPLETED, 1)


async def test_a_restart_of_lidarr_in_the_middle_changes_nothing(world: World) -> None:
    world.lidarr.lidarr.script(world.invented, Scenario(download_seconds=1))
    waiting = await world.run(until=State.WAITING)
    await world.lidarr.lidarr.restart()

    done = await world.outcome(waiting)

    assert (done.state, len(done.files)) == (State.COMPLETED, 3)


async def test_a_step_that_was_lost_in_a_crash_sends_no_second_search(world: World) -> None:
    job = world.job()
    while job.acquisition.state is not State.WAITING:
        await world.steps.advance(job, unheard)
        move = await world.steps.advance(job, unheard)
        job = Job(acquisition=move.acquisition, plan=move.plan)
        await asyncio.sleep(0.05)

    done = await world.outcome(job)

    assert done.state is State.COMPLETED
    assert (world.searches(), world.lidarr.lidarr.counts.albums_added) == (1, 1)


async def test_a_download_that_never_moves_fails_after_the_idle_timeout(world: World) -> None:
    world.lidarr.lidarr.script(world.invented, Scenario(download_seconds=60))
    world.idle = timedelta(seconds=0.5)

    assert reason(await world.outcome()) == "IDLE_TIMEOUT"


async def test_progress_comes_from_lidarrs_queue(world: World) -> None:
    world.lidarr.lidarr.script(world.invented, Scenario(download_seconds=0.5))
    job = await world.run(until=State.WAITING)
    seen: list[Progress] = []
    while job.acquisition.active:
        move = await world.steps.advance(job, unheard)
        job = Job(acquisition=move.acquisition, plan=move.plan)
        seen += [attempt.progress for attempt in job.acquisition.attempts]
        await asyncio.sleep(POLL.total_seconds())

    assert any(0 < progress.received_bytes < progress.total_bytes for progress in seen)


async def test_calls_are_counted_by_endpoint_and_status(world: World) -> None:
    await world.outcome()

    text = world.metrics.render().decode()
    assert 'lockgroove_lidarr_api_calls_total{endpoint="album",status="201"} 1.0' in text
    assert 'lockgroove_lidarr_api_duration_seconds_count{endpoint="queue/details"}' in text


async def test_a_queue_that_cannot_be_read_does_not_hide_that_the_album_is_complete(world: World) -> None:
    world.lidarr.fail("GET", "/api/v1/queue", 500, times=1000)

    assert (await world.outcome()).state is State.COMPLETED
