"""Limits of automatic actions, counted where they are reserved: no interleaving of replicas gets past them."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from libs.sql.paging import PageTokens
from services.config.automations.actions import Terms
from services.config.domain.automations import KEPT, ActionStatus, Candidate, Outcome, Run
from services.config.domain.safety import Limits, Reason, Switch
from services.config.keys.store import SqlKeyStore
from services.config.tables import automation
from services.config.upkeep.removal import removers
from tests.integration.automations.conftest import RETRY, House, away, someone

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MINUTE = timedelta(minutes=1)


def wish(user: str, target: str) -> Candidate:
    return Candidate(target=target, user=user, etag="1", description="Try it again.")


async def begun(house: House) -> Run:
    await house.turn(True)
    run = await house.replica().automations.claim(RETRY)
    assert run is not None
    return run


@FEW
@given(
    targets=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    per_target=st.integers(1, 3),
    per_user=st.integers(1, 6),
)
async def test_no_interleaving_of_workers_reserves_more_than_is_allowed(
    house: House, targets: list[int], per_target: int, per_user: int
) -> None:
    user = someone()
    limits = Limits(dry_run=False, per_target_and_day=per_target, per_user_and_burst=per_user, per_user_and_hour=99)
    run = await _run_of(house)

    async def one(number: int, target: int) -> ActionStatus:
        actions = house.replica().actions
        each = replace(run, number=number)  # so that each of them is another action
        action = await actions.reserve(
            each, wish(user, f"{user}/{target}"), Terms(limits=limits, switch=Switch.OFF, failures=0)
        )
        if number % 2 and action.status is ActionStatus.PENDING:
            await actions.end(action, Outcome(status=ActionStatus.FAILED))
        return action.status

    found = await asyncio.gather(*(one(number, target) for number, target in enumerate(targets)))

    allowed = [target for target, status in zip(targets, found, strict=True) if status is ActionStatus.PENDING]
    assert len(allowed) <= per_user
    assert all(allowed.count(target) <= per_target for target in targets)
    most = sum(min(targets.count(target), per_target) for target in set(targets))
    assert len(allowed) == min(per_user, most)


async def test_two_automations_do_not_both_take_the_last_one_of_a_user(house: House) -> None:
    runs, user = [await begun(house), await _run_of_another(house)], someone()
    terms = Terms(limits=Limits(dry_run=False, per_user_and_burst=1), switch=Switch.OFF, failures=0)

    made = await asyncio.gather(
        *(house.replica().actions.reserve(run, wish(user, run.automation), terms) for run in runs * 8)
    )

    statuses = {action.target: action.status for action in made}
    assert sorted(statuses.values()) == [ActionStatus.PENDING, ActionStatus.THROTTLED]


async def test_what_was_refused_or_only_planned_counts_for_nothing(house: House) -> None:
    house.limits = Limits(dry_run=True, per_target_and_day=1)
    run, user = await begun(house), someone()
    actions = house.replica().actions
    planned = Terms(limits=house.limits, switch=Switch.OFF, failures=0)
    refused = replace(planned, failures=3)
    for target, terms in (("one", planned), ("two", refused)):
        await actions.reserve(run, wish(user, target), terms)

    status = await house.replica().guard.status(user)

    assert (status.in_burst, status.in_hour) == (0, 0)
    assert (await house.replica().guard.check(user, "one")).allowed


async def test_the_wait_that_is_told_is_the_wait_that_is_needed(house: House) -> None:
    house.limits = Limits(dry_run=False, per_user_and_burst=1)
    run, user, guard = await begun(house), someone(), house.replica().guard
    terms = Terms(limits=house.limits, switch=Switch.OFF, failures=0)
    await house.replica().actions.reserve(run, wish(user, "one"), terms)
    house.clock.advance(MINUTE)

    verdict = await guard.check(user, "two")

    assert (verdict.reason, verdict.retry_after) == (Reason.USER_BURST, 4 * MINUTE)
    house.clock.advance(4 * MINUTE - timedelta(milliseconds=1))
    assert not (await guard.check(user, "two")).allowed
    house.clock.advance(timedelta(milliseconds=1))
    assert (await guard.check(user, "two")).allowed


async def test_too_many_failed_refreshes_pause_the_user_until_somebody_resumes(house: House) -> None:
    user, replica = someone(), house.replica()
    house.refreshes.failed = [house.clock.time] * 3

    assert (await replica.guard.check(user, "")).reason is Reason.OAUTH_FAILURES
    house.clock.advance(timedelta(days=3))  # the failures are old, the pause is not
    assert (await replica.guard.status(user)).reason is Reason.OAUTH_FAILURES

    await replica.pauses.resume(user, actor="ann")
    assert (await replica.guard.check(user, "")).allowed


async def test_failures_before_a_resume_count_no_more_and_later_ones_do(house: House) -> None:
    user, replica = someone(), house.replica()
    house.refreshes.failed = [house.clock.time] * 3
    await replica.guard.check(user, "")
    house.clock.advance(MINUTE)
    await replica.pauses.resume(user, actor="ann")
    assert (await replica.guard.check(user, "")).allowed

    house.clock.advance(MINUTE)
    house.refreshes.failed += [house.clock.time] * 3

    assert (await replica.guard.check(user, "")).reason is Reason.OAUTH_FAILURES


async def test_a_refresh_that_succeeds_lets_a_paused_user_go_on(house: House) -> None:
    user, replica = someone(), house.replica()
    house.refreshes.failed = [house.clock.time] * 3
    await replica.guard.check(user, "")
    house.clock.advance(MINUTE)
    house.refreshes.success = house.clock.time

    assert (await replica.guard.check(user, "")).allowed


async def test_a_threshold_that_cannot_be_read_holds_users_only_until_it_can_be(house: House) -> None:
    house.limits, user = Limits(failures=0), someone()
    assert (await house.replica().guard.check(user, "")).reason is Reason.ERROR

    house.limits = Limits()

    assert (await house.replica().guard.check(user, "")).allowed


async def test_the_actions_of_a_paused_user_are_throttled_and_those_of_others_are_done(house: House) -> None:
    house.acquisitions.fail("ann-1", "bob-1")
    house.refreshes.failed, house.refreshes.whose = [house.clock.time] * 3, "ann"
    await house.turn(True)

    await house.replica().runner.run_once()

    assert (house.acquisitions.retried, await house.noted()) == (
        ["bob-1"],
        [("ann-1", "THROTTLED"), ("bob-1", "DONE")],
    )


@pytest.mark.parametrize(
    ("switch", "reason"), [(Switch.ON, Reason.KILL_SWITCH), (Switch.UNKNOWN, Reason.ERROR), (away(), Reason.ERROR)]
)
async def test_what_is_held_or_cannot_be_known_is_not_allowed(house: House, switch: Switch, reason: Reason) -> None:
    house.switch = switch

    assert (await house.replica().guard.check("ann", "")).reason is reason


async def test_a_preview_counts_what_it_plans_and_notes_nothing(house: House) -> None:
    house.limits = Limits(dry_run=False, per_user_and_burst=2)
    user = someone()

    planned = await house.replica().guard.preview(RETRY, [wish(user, target) for target in ("one", "two", "three")])

    assert [action.status for action in planned] == ["PLANNED", "PLANNED", "THROTTLED"]
    assert planned[2].reason == Reason.USER_BURST
    assert await house.noted() == []


async def test_actions_are_told_of_for_ninety_days(house: House) -> None:
    run = await begun(house)
    replica = house.replica()
    terms = Terms(limits=Limits(), switch=Switch.OFF, failures=0)
    await replica.actions.reserve(run, wish("ann", "old"), terms)
    house.clock.advance(KEPT)
    run = await _run_of(house)
    await replica.actions.reserve(run, wish("ann", "new"), terms)
    house.clock.advance(timedelta(milliseconds=1))

    [actions] = [
        each
        for each in removers(
            house.database, SqlKeyStore(house.database, tokens=PageTokens(b"k" * 32), given=False), changed=lambda: None
        )
        if each.kind == "automation_actions"
    ]
    assert [count async for count in actions.remove(house.clock.time)] == [1]

    assert [target for target, _ in await house.noted()] == ["new"]


async def test_a_page_of_actions_shows_ones_own_newest_first_or_everybodys(house: House) -> None:
    run, terms = await begun(house), Terms(limits=Limits(), switch=Switch.OFF, failures=0)
    actions = house.replica().actions
    for user, target in (("ann", "one"), ("bob", "two"), ("ann", "three")):
        await actions.reserve(run, wish(user, target), terms)
        house.clock.advance(timedelta(seconds=1))

    first, token = await actions.page("ann", page_size=1, page_token="")
    rest, end = await actions.page("ann", page_size=1, page_token=token)
    all_, _ = await actions.page(None, page_size=0, page_token="")

    assert [action.target for action in (*first, *rest)] == ["three", "one"]
    assert (end, len(all_)) == ("", 3)


async def _run_of(house: House) -> Run:
    """A run that holds now, whoever had one before."""
    await house.turn(True)
    house.clock.advance(timedelta(days=2))
    run = await house.replica().automations.claim(RETRY)
    assert run is not None
    return run


async def _run_of_another(house: House) -> Run:
    """A run of an automation that a later release may have."""
    row = {"id": "another", "enabled": True, "interval_ms": 1, "updated_at": house.clock.time}
    async with house.database.writing() as connection:
        await connection.execute(insert(automation).values(row))
    return Run(automation="another", number=1, fence=0)
