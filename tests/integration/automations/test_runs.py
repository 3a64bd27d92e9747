"""Runs of automations on SQLite and PostgreSQL: off at first, each thing once, whoever dies, and none while held."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.config.automations.runner import HELD, REST
from services.config.automations.store import TTL
from services.config.domain.automations import KINDS, MOST_OF_RUN, AutomationChanged, Candidate, Change, RunLost, State
from services.config.domain.safety import Switch
from tests.integration.automations.conftest import RETRY, House, away, calmly

DAY = timedelta(days=1)


class Killed(BaseException):
    """The process is gone."""


async def die(name: str) -> None:
    raise Killed


async def test_after_a_fresh_installation_every_automation_is_off_and_does_nothing(house: House) -> None:
    house.acquisitions.fail("ann-1")
    replica = house.replica()

    await replica.runner.run_once()

    made = await replica.automations.all()
    assert [each.kind.id for each in made] == sorted(KINDS)
    assert {each.state(Switch.OFF) for each in made} == {State.OFF}
    assert (house.acquisitions.retried, await house.noted()) == ([], [])


async def test_making_them_again_leaves_those_on_that_somebody_turned_on(house: House) -> None:
    await house.turn(True)

    await house.replica().automations.make()

    assert (await house.replica().automations.get(RETRY)).enabled


async def test_once_turned_on_it_retries_what_nobody_had_for_whoever_asked(house: House) -> None:
    house.acquisitions.fail("ann-1", "bob-1")
    await house.turn(True)

    await house.replica().runner.run_once()

    assert house.acquisitions.retried == ["ann-1", "bob-1"]
    assert await house.noted() == [("ann-1", "DONE"), ("bob-1", "DONE")]
    told = await house.replica().automations.get(RETRY)
    assert (told.last_result, told.next_run_at) == ("2 done.", house.clock.time + DAY)


async def test_what_came_of_actions_is_counted(house: House) -> None:
    house.acquisitions.fail("ann-1", "bob-1")
    await house.turn(True)

    await house.replica().runner.run_once()

    labels = {"automation": RETRY, "status": "done"}
    assert house.told.registry.get_sample_value("lockgroove_automation_actions_total", labels) == 2


async def test_several_replicas_do_each_thing_once(house: House) -> None:
    house.acquisitions.fail(*(f"ann-{number}" for number in range(20)))
    await house.turn(True)

    await asyncio.gather(*(house.replica().runner.run_once() for _ in range(4)))

    assert sorted(house.acquisitions.retried) == sorted({f"ann-{number}" for number in range(20)})
    assert await house.runs() == 1


async def test_a_dry_run_plans_and_does_nothing(house: House) -> None:
    house.limits = replace(house.limits, dry_run=True)
    house.acquisitions.fail("ann-1")
    await house.turn(True)

    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == ([], [("ann-1", "PLANNED")])


async def test_runs_that_were_missed_are_caught_up_once(house: House) -> None:
    await house.turn(True)
    await house.replica().runner.run_once()
    house.clock.advance(10 * DAY)

    for _ in range(3):
        await house.replica().runner.run_once()

    assert await house.runs() == 2


async def test_turning_it_off_and_on_makes_no_second_run_within_the_interval(house: House) -> None:
    await house.turn(True)
    await house.replica().runner.run_once()

    await house.turn(False)
    await house.turn(True)
    await house.replica().runner.run_once()

    assert await house.runs() == 1


@pytest.mark.parametrize("switch", [Switch.ON, Switch.UNKNOWN])
async def test_while_the_kill_switch_is_on_or_unknown_nothing_runs(house: House, switch: Switch) -> None:
    house.acquisitions.fail("ann-1")
    await house.turn(True)
    house.switch = switch

    await house.replica().runner.run_once()

    assert (await house.replica().automations.get(RETRY)).state(switch) is State.HELD
    assert (house.acquisitions.retried, await house.noted()) == ([], [])


async def test_a_kill_switch_that_comes_in_a_run_stops_it_before_the_next_action(house: House) -> None:
    house.acquisitions.fail("ann-1", "ann-2", "ann-3")

    async def held(name: str) -> None:
        house.switch = Switch.ON

    house.acquisitions.after = held
    await house.turn(True)

    await house.replica().runner.run_once()
    told = await house.replica().automations.get(RETRY)
    assert (house.acquisitions.retried, told.last_result) == (["ann-1"], HELD)

    house.switch, house.acquisitions.after = Switch.OFF, calmly
    await house.replica().runner.run_once()
    assert house.acquisitions.retried == ["ann-1", "ann-2", "ann-3"]
    assert await house.runs() == 1


async def test_turning_it_off_in_a_run_stops_it_before_the_next_action(house: House) -> None:
    house.acquisitions.fail("ann-1", "ann-2")
    await house.turn(True)

    async def off(name: str) -> None:
        await house.turn(False)

    house.acquisitions.after = off

    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == (["ann-1"], [("ann-1", "DONE")])


async def test_a_process_that_dies_before_the_call_leaves_it_to_another(house: House) -> None:
    house.acquisitions.fail("ann-1")
    house.acquisitions.before = die
    await house.turn(True)
    with pytest.raises(Killed):
        await house.replica().runner.run_once()
    assert await house.noted() == [("ann-1", "PENDING")]
    house.acquisitions.before = calmly

    await house.replica().runner.run_once()
    assert house.acquisitions.retried == []  # the lease of the dead one holds
    house.clock.advance(2 * TTL)
    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == (["ann-1"], [("ann-1", "DONE")])


async def test_what_a_dead_process_left_waits_for_the_end_of_a_dry_run(house: House) -> None:
    house.acquisitions.fail("ann-1")
    house.acquisitions.before = die
    await house.turn(True)
    with pytest.raises(Killed):
        await house.replica().runner.run_once()
    house.acquisitions.before = calmly

    def look_again() -> None:
        house.on_look = lambda: setattr(house, "limits", replace(house.limits, dry_run=True))

    house.on_look = look_again  # dry runs are turned on when the run has begun
    house.clock.advance(2 * TTL)
    await house.replica().runner.run_once()
    assert (house.acquisitions.retried, await house.noted()) == ([], [("ann-1", "PENDING")])

    house.limits, house.on_look = replace(house.limits, dry_run=False), lambda: None
    house.clock.advance(2 * DAY)
    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == (["ann-1"], [("ann-1", "DONE")])


async def test_a_process_that_dies_after_the_call_has_it_not_done_twice(house: House) -> None:
    house.acquisitions.fail("ann-1")
    house.acquisitions.after = die
    await house.turn(True)
    with pytest.raises(Killed):
        await house.replica().runner.run_once()
    house.acquisitions.after = calmly
    house.clock.advance(2 * TTL)

    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == (["ann-1"], [("ann-1", "DONE")])


async def test_what_failed_anew_after_a_crash_is_not_tried_twice_in_one_run(house: House) -> None:
    house.acquisitions.fail("ann-1")
    house.acquisitions.after = die
    await house.turn(True)
    with pytest.raises(Killed):
        await house.replica().runner.run_once()
    house.acquisitions.after = calmly
    house.acquisitions.fail("ann-1")
    house.clock.advance(2 * TTL)

    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == (["ann-1"], [("ann-1", "FAILED")])


async def test_an_answer_that_got_lost_is_asked_for_again_after_a_rest(house: House) -> None:
    async def lose(name: str) -> None:
        raise away()

    house.acquisitions.fail("ann-1", "ann-2")
    house.acquisitions.after = lose
    await house.turn(True)
    await house.replica().runner.run_once()
    assert await house.noted() == [("ann-1", "PENDING")]
    house.acquisitions.after = calmly

    house.clock.advance(2 * REST)
    await house.replica().runner.run_once()

    assert house.acquisitions.retried == ["ann-1", "ann-2"]
    assert await house.noted() == [("ann-1", "DONE"), ("ann-2", "DONE")]


async def test_who_lost_a_run_to_another_process_reserves_and_ends_nothing(house: House) -> None:
    house.acquisitions.fail("ann-1", "ann-2")
    await house.turn(True)
    slow = house.replica()
    lost = await slow.automations.claim(RETRY)
    assert lost is not None
    house.clock.advance(2 * TTL)

    await house.replica().runner.run_once()

    wish = Candidate(target="ann-3", user="ann", etag="1", description="")
    with pytest.raises(RunLost):
        await slow.actions.reserve(lost, wish, await slow.guard.terms("ann", Switch.OFF))
    with pytest.raises(RunLost):
        await slow.automations.finish(lost, "late")
    await slow.automations.leave(lost, "late")
    assert (await slow.automations.get(RETRY)).last_result == "2 done."


async def test_no_more_than_the_most_of_one_run_is_done(house: House) -> None:
    house.limits = replace(house.limits, per_user_and_burst=1000, per_user_and_hour=1000)
    house.acquisitions.fail(*(f"ann-{number}" for number in range(103)))
    await house.turn(True)

    await house.replica().runner.run_once()

    assert len(house.acquisitions.retried) == 100


async def test_an_old_etag_is_a_conflict_that_tells_the_current_one(house: House) -> None:
    automations = house.replica().automations
    read = await automations.get(RETRY)
    now = await automations.change(RETRY, Change(enabled=True, actor="ann", etag=read.etag))

    with pytest.raises(AutomationChanged) as refused:
        await automations.change(RETRY, Change(enabled=False, actor="bob", etag=read.etag))

    assert refused.value.metadata["etag"] == now.etag
    assert (now.actor, now.version) == ("ann", 2)


async def test_whoever_may_do_nothing_more_keeps_nobody_else_waiting(house: House) -> None:
    house.limits = replace(house.limits, per_user_and_burst=1)
    house.acquisitions.fail(*(f"ann-{number}" for number in range(2 * MOST_OF_RUN)), "bob-1")
    await house.turn(True)

    await house.replica().runner.run_once()

    assert house.acquisitions.retried == ["ann-0", "bob-1"]
    assert await house.noted() == [("ann-0", "DONE"), ("ann-1", "THROTTLED"), ("bob-1", "DONE")]
