"""What every source of albums has to do, whatever is behind it."""

import asyncio
import hashlib
from pathlib import Path

from deploy.demo.albums import album_files
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.attempt import AttemptState
from tests.conformance.sources.driver import Driver
from tests.conformance.sources.world import PeerWorld, SourceWorld
from tests.support.waiting import eventually


def has_arrived(world: SourceWorld, done: Acquisition) -> bool:
    """Whether the files of the acquisition are the album's, byte for byte."""
    wanted = sorted(hashlib.sha256(file).hexdigest() for file in album_files(world.album))
    found = sorted(hashlib.sha256(Path(file.path).read_bytes()).hexdigest() for file in done.files)
    return done.state is State.COMPLETED and found == wanted


async def hanging(driver: Driver, world: SourceWorld) -> "asyncio.Task[Acquisition]":
    """The acquisition under way, at a delivery that never ends."""
    running = asyncio.create_task(driver.run())
    await eventually(world.is_hanging, every=0.01)
    return running


async def interrupted(running: "asyncio.Task[Acquisition]") -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_album_that_is_there_arrives_verified(world: SourceWorld) -> None:
    await world.offer()

    done = await Driver(world).run()

    assert has_arrived(world, done)
    assert world.leftovers() == []
    _tells_its_source_its_peer_and_its_bytes(world, done)


def _tells_its_source_its_peer_and_its_bytes(world: SourceWorld, done: Acquisition) -> None:
    [attempt] = done.attempts
    size = sum(map(len, album_files(world.album)))
    assert (attempt.source, attempt.state) == (world.source, AttemptState.SUCCEEDED)
    assert attempt.peer
    assert (attempt.progress.received_bytes, attempt.progress.total_bytes) == (size, size)


async def test_an_album_that_nobody_has_fails_and_says_so(world: SourceWorld) -> None:
    world.hurry()

    failed = await Driver(world).run()

    assert failed.state is State.FAILED
    assert failed.failure is not None
    assert failed.failure.reason in ("NO_CANDIDATES", "NO_RELEASE_FOUND")
    assert world.leftovers() == []


async def test_an_outage_is_waited_for_and_spends_no_attempt(world: SourceWorld) -> None:
    await world.offer()
    driver = Driver(world)
    await driver.run(until=State.SEARCHING)
    await world.go_away()
    await driver.step()
    await driver.step()
    waiting = driver.acquisition
    await world.come_back()

    done = await driver.run()

    assert (waiting.state is State.COMPLETED, waiting.attempts) == (False, ())
    assert has_arrived(world, done)
    assert len(done.attempts) == 1


async def test_an_outage_in_the_middle_of_a_delivery_spends_no_attempt(world: SourceWorld) -> None:
    await world.offer_what_hangs()
    driver = Driver(world)
    running = await hanging(driver, world)

    await world.go_away()
    await eventually(lambda: _is_waiting(driver), every=0.01)
    await interrupted(running)

    assert [attempt.state for attempt in driver.acquisition.attempts] == [AttemptState.RUNNING]


async def test_a_crash_that_loses_the_outcome_of_every_step_delivers_nothing_twice(world: SourceWorld) -> None:
    await world.offer()

    done = await Driver(world).run(loses=True)

    assert has_arrived(world, done)
    assert set(world.deliveries().values()) == {1}
    assert world.leftovers() == []


async def test_a_cancelled_acquisition_leaves_nothing_of_ours(world: SourceWorld) -> None:
    await world.offer_what_hangs()
    driver = Driver(world)
    await interrupted(await hanging(driver, world))

    await world.steps().clean_up(driver.acquisition)

    assert world.leftovers() == []
    assert list(world.disks.music.rglob("*.flac")) == []


async def test_without_credentials_it_fails_and_names_the_setting(world: SourceWorld) -> None:
    await world.offer()
    await world.forget_credentials()

    failed = await Driver(world).run()

    assert failed.failure is not None
    assert failed.failure.reason == f"{world.source}_NOT_CONFIGURED"
    assert f"{world.source.lower()}." in failed.failure.message


async def test_a_source_that_is_switched_off_in_the_middle_fails_names_the_setting_and_touches_nothing_foreign(
    world: SourceWorld,
) -> None:
    await world.offer_what_hangs()
    before = await world.meddle()
    driver = Driver(world)
    running = await hanging(driver, world)

    await world.forget_credentials()
    failed = await running

    assert failed.failure is not None
    assert failed.failure.reason == f"{world.source}_NOT_CONFIGURED"
    assert world.foreign() == before


async def test_what_belongs_to_somebody_else_stays_as_it_was(world: SourceWorld) -> None:
    await world.offer()
    before = await world.meddle()

    done = await Driver(world).run()
    await world.steps().clean_up(done)

    assert has_arrived(world, done)
    assert world.foreign() == before


async def test_wrong_content_is_rejected_and_the_next_offer_taken(peers: PeerWorld) -> None:
    await peers.offer_wrong_content("liar")
    await peers.offer()

    done = await Driver(peers).run(loses=True)

    assert has_arrived(peers, done)
    failed, succeeded = done.attempts
    assert (failed.peer, failed.state, succeeded.peer) == ("liar", AttemptState.FAILED, "honest")
    assert peers.leftovers() == []


async def _is_waiting(driver: Driver) -> bool:
    return driver.acquisition.state is State.WAITING
