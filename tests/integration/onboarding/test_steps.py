"""What each step of the onboarding makes of what it finds."""

from datetime import timedelta

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.webhooks.v1 import upkeep_pb2 as upkeep

from libs.errors import FailedPrecondition, InvalidArgument, ResourceExhausted, Unavailable
from services.config.domain.onboarding import Onboarding, OnboardingState, StepState
from services.config.onboarding.steps import PATIENCE, SETTLING
from tests.integration.onboarding.conftest import NAME, Bench, Found

UNSET = Found(diagnosis="NOT_CONFIGURED")
REFUSED = Found(diagnosis="REFUSED", message="nobody listens", advice="start it")


def states(onboarding: Onboarding) -> list[str]:
    return [step.state.value for step in onboarding.steps]


async def test_where_all_works_five_looks_complete_it(bench: Bench) -> None:
    await bench.start()

    onboarding = await bench.look(5)

    assert (onboarding.state, onboarding.progress) == (OnboardingState.COMPLETED, 100)
    assert states(onboarding) == ["DONE"] * 5
    assert onboarding.acquisition == NAME


async def test_what_is_not_set_up_is_left_out(bench: Bench) -> None:
    bench.found["lidarr"] = UNSET
    await bench.start(album=None)

    assert states(await bench.look(5)) == ["DONE", "SKIPPED", "DONE", "SKIPPED", "SKIPPED"]


async def test_a_step_that_fails_says_what_to_do(bench: Bench) -> None:
    bench.found["lidarr"] = REFUSED
    await bench.start()

    failed = (await bench.look(2)).steps[1]

    assert (failed.state, failed.reason, failed.advice) == (StepState.FAILED, "REFUSED", "start it")


async def test_a_failed_step_is_looked_at_again_after_a_start(bench: Bench) -> None:
    bench.found["lidarr"] = REFUSED
    await bench.start()
    await bench.look(2)
    bench.found["lidarr"] = Found()
    await bench.start()

    assert states(await bench.look(1))[:2] == ["DONE", "DONE"]
    assert bench.tested.count("storage") == 1


async def test_without_any_source_it_fails(bench: Bench) -> None:
    bench.found.update(lidarr=UNSET, soulseek=UNSET)
    await bench.start()

    assert (await bench.look(3)).steps[2].reason == "NO_SOURCE"


async def test_one_broken_source_of_two_fails_the_step(bench: Bench) -> None:
    bench.found.update(slskd=REFUSED)
    await bench.start()

    assert (await bench.look(3)).steps[2].reason == "REFUSED"


async def test_an_account_that_is_in_use_for_a_moment_is_waited_for(bench: Bench) -> None:
    bench.found.update(soulseek=Found(diagnosis="IN_USE"))
    await bench.start()
    waiting = (await bench.look(3)).steps[2]
    bench.found.update(soulseek=Found())

    assert (waiting.state, (await bench.look(1)).steps[2].state) == (StepState.RUNNING, StepState.DONE)


async def test_a_registration_that_waits_is_waited_for_and_then_fails(bench: Bench) -> None:
    bench.inbox.standing = upkeep.CheckRegistrationResponse.WAITING
    await bench.start()

    waiting = (await bench.look(5)).steps[3]
    bench.clock.advance(PATIENCE + timedelta(seconds=1))
    failed = (await bench.look(1)).steps[3]

    assert (waiting.state, failed.state) == (StepState.RUNNING, StepState.FAILED)


async def test_an_album_on_its_way_is_progress(bench: Bench) -> None:
    bench.acquisitions.state = acquisition.Acquisition.DOWNLOADING
    await bench.start()

    onboarding = await bench.look(6)

    assert (onboarding.progress, onboarding.steps[4].message) == (90, "The album is being downloaded.")
    assert len(bench.acquisitions.requests) == 1


async def test_an_album_that_the_kill_switch_holds_says_so(bench: Bench) -> None:
    bench.acquisitions.state = acquisition.Acquisition.QUEUED
    bench.acquisitions.switch = acquisition.KillSwitch(enabled=True, reason="the disk is being replaced")
    await bench.start()

    held = (await bench.look(6)).steps[4]
    bench.acquisitions.switch.enabled = False
    going = (await bench.look(1)).steps[4]

    assert held.message == "The album is held: the kill switch is on (the disk is being replaced)."
    assert "/api/automation/kill-switch" in held.advice
    assert (held.state, going.message, going.advice) == (StepState.RUNNING, "The album waits for its turn.", "")


async def test_an_album_that_somebody_paused_says_so(bench: Bench) -> None:
    bench.acquisitions.state = acquisition.Acquisition.QUEUED
    bench.acquisitions.paused = True
    await bench.start()

    assert (await bench.look(6)).steps[4].message == "Somebody paused the acquisition."


async def test_a_service_that_restarts_during_a_long_download_is_waited_for(bench: Bench) -> None:
    bench.acquisitions.state = acquisition.Acquisition.DOWNLOADING
    await bench.start()
    await bench.look(5)
    bench.clock.advance(timedelta(hours=1))
    bench.acquisitions.refusal = Unavailable("it restarts")

    waiting = (await bench.look(1)).steps[4]
    bench.clock.advance(PATIENCE + timedelta(seconds=1))
    failed = (await bench.look(1)).steps[4]

    assert (waiting.state, waiting.message) == (StepState.RUNNING, "it restarts")
    assert failed.state is StepState.FAILED


async def test_trouble_that_passed_is_forgotten(bench: Bench) -> None:
    bench.acquisitions.state = acquisition.Acquisition.DOWNLOADING
    await bench.start()
    await bench.look(5)
    for refusal in (Unavailable("it restarts"), None, Unavailable("it restarts again")):
        bench.acquisitions.refusal = refusal
        last = await bench.look(1)
        bench.clock.advance(PATIENCE + timedelta(seconds=1))

    assert last.steps[4].state is StepState.RUNNING


async def test_a_test_that_somebody_else_began_is_waited_for(bench: Bench) -> None:
    await bench.start()
    bench.fault = ResourceExhausted("it is being tried by somebody else", reason="TEST_RUNNING")
    waiting = (await bench.look(1)).steps[0]
    bench.fault = None

    assert (waiting.state, (await bench.look(1)).steps[0].state) == (StepState.RUNNING, StepState.DONE)


async def test_a_look_that_nobody_foresaw_fails_the_step_and_tells_nothing_else(bench: Bench) -> None:
    await bench.start()
    bench.fault = ValueError("holds who knows what")

    failed = (await bench.look(1)).steps[0]

    assert (failed.state, failed.reason) == (StepState.FAILED, "INTERNAL")
    assert "who knows what" not in str(failed)


async def test_two_sources_that_work_are_both_told(bench: Bench) -> None:
    bench.found.update(soulseek=Found(message="Soulseek works."), slskd=Found(message="slskd works."))
    await bench.start()

    assert (await bench.look(3)).steps[2].message == "Soulseek works. slskd works."


async def test_a_lidarr_that_is_left_out_says_what_is_not_set(bench: Bench) -> None:
    bench.found["lidarr"] = Found(diagnosis="NOT_CONFIGURED", message="lidarr.apiKey is not set.")
    await bench.start()

    assert (await bench.look(2)).steps[1].message == "lidarr.apiKey is not set."


async def test_an_album_that_nobody_has_fails_the_last_step(bench: Bench) -> None:
    bench.acquisitions.state = acquisition.Acquisition.FAILED
    bench.acquisitions.failure = acquisition.Failure(reason="NOT_FOUND", message="nobody has it")
    await bench.start()

    failed = (await bench.look(5)).steps[4]

    assert (failed.state, failed.reason, failed.message) == (StepState.FAILED, "NOT_FOUND", "nobody has it")


async def test_a_refused_request_fails_once_the_newest_settings_have_been_heard_of(bench: Bench) -> None:
    bench.acquisitions.refusal = FailedPrecondition("no source is set up", reason="NO_SOURCE")
    await bench.start()

    waiting = (await bench.look(5)).steps[4]
    bench.clock.advance(SETTLING + timedelta(seconds=1))
    failed = (await bench.look(1)).steps[4]

    assert (waiting.state, failed.state, failed.reason) == (StepState.RUNNING, StepState.FAILED, "NO_SOURCE")


async def test_a_registration_that_is_broken_fails_once_the_newest_settings_have_been_heard_of(bench: Bench) -> None:
    bench.inbox.standing = upkeep.CheckRegistrationResponse.BROKEN
    await bench.start()

    waiting = (await bench.look(4)).steps[3]
    bench.clock.advance(SETTLING + timedelta(seconds=1))
    failed = (await bench.look(1)).steps[3]

    assert (waiting.state, failed.reason) == (StepState.RUNNING, "REGISTRATION_BROKEN")
    assert "webhooks.publicUrl" in failed.advice


async def test_a_registration_that_is_off_is_left_out_once_the_newest_settings_have_been_heard_of(bench: Bench) -> None:
    bench.inbox.standing = upkeep.CheckRegistrationResponse.OFF
    await bench.start()

    waiting = (await bench.look(4)).steps[3]
    bench.clock.advance(SETTLING + timedelta(seconds=1))
    skipped = (await bench.look(1)).steps[3]

    assert (waiting.state, skipped.state) == (StepState.RUNNING, StepState.SKIPPED)
    assert "registerInLidarr" in skipped.message


async def test_a_request_that_is_wrong_fails_at_once(bench: Bench) -> None:
    bench.acquisitions.refusal = InvalidArgument("the title is empty")
    await bench.start()

    assert (await bench.look(5)).steps[4].reason == "INVALID_ARGUMENT"


async def test_where_a_source_is_turned_off_turning_it_on_is_advised(bench: Bench) -> None:
    bench.found.update(lidarr=UNSET, soulseek=Found(diagnosis="DISABLED"))
    await bench.start()

    assert "enabled" in (await bench.look(3)).steps[2].advice


@pytest.mark.parametrize("restarts", [1, 2])
async def test_a_crash_after_the_request_asks_for_the_same_acquisition(bench: Bench, restarts: int) -> None:
    bench.acquisitions.state = acquisition.Acquisition.QUEUED
    await bench.start()
    before = await bench.look(4)
    for _ in range(restarts):  # asks, and dies before it can note the answer
        await bench.steps.look(before)

    await bench.look(1)

    assert len(set(bench.acquisitions.requests)) == 1
    assert len(bench.acquisitions.requests) == restarts + 1
