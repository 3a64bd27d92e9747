"""The kill switch on SQLite and PostgreSQL: one row that every claim reads, put by one caller at a time, noted."""

import asyncio

import pytest
from sqlalchemy import select

from libs.errors import Unavailable
from libs.telemetry.metrics import Metrics
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.control import KillSwitchOn, Switch, SwitchMoved
from services.acquisition.domain.step import Move
from services.acquisition.switches import SqlSwitches
from services.acquisition.tables import switch_change
from services.acquisition.upkeep.metrics import UpkeepMetrics
from services.acquisition.upkeep.sampler import Sampler
from services.acquisition.workers import TTL
from tests.conformance.acquisition.conftest import CLOCK, Service

ON = Switch(paused=True, reason="a new disk", actor="ann")
OFF = Switch(paused=False, reason="done", actor="bob")


@pytest.fixture
def switches(service: Service) -> SqlSwitches:
    return SqlSwitches(service.database)


async def test_a_switch_that_nobody_put_is_off(switches: SqlSwitches) -> None:
    assert await switches.switch() == Switch()


async def test_it_says_who_put_it_so_why_and_when_in_both_directions(switches: SqlSwitches) -> None:
    on = await switches.set_switch(ON)
    off = await switches.set_switch(OFF)

    assert (on.paused, on.actor, on.reason, on.version) == (True, "ann", "a new disk", 1)
    assert (off.paused, off.actor, off.reason, off.version) == (False, "bob", "done", 2)
    assert on.since is not None
    assert off.since is not None
    assert on.since <= off.since
    assert await switches.switch() == off


async def test_every_change_is_noted(service: Service, switches: SqlSwitches) -> None:
    for switch in (ON, OFF, ON):
        await switches.set_switch(switch)

    async with service.database.reading() as connection:
        noted = (await connection.execute(select(switch_change).order_by(switch_change.c.version))).all()
    assert [(row.version, row.paused, row.actor) for row in noted] == [
        (1, True, "ann"),
        (2, False, "bob"),
        (3, True, "ann"),
    ]


async def test_an_old_etag_is_a_conflict_that_tells_the_current_one(switches: SqlSwitches) -> None:
    first = await switches.set_switch(ON)
    now = await switches.set_switch(OFF, etag=first.etag)

    with pytest.raises(SwitchMoved) as refused:
        await switches.set_switch(ON, etag=first.etag)

    assert refused.value.metadata == {"etag": now.etag}
    assert await switches.switch() == now


@pytest.mark.parametrize("times", [0, 3])
async def test_of_those_who_read_the_same_etag_one_wins(switches: SqlSwitches, times: int) -> None:
    for _ in range(times):
        await switches.set_switch(ON)
    read = await switches.switch()

    put = await asyncio.gather(*[switches.set_switch(OFF, etag=read.etag) for _ in range(8)], return_exceptions=True)

    assert sorted(type(each).__name__ for each in put) == ["Switch"] + ["SwitchMoved"] * 7
    assert (await switches.switch()).version == times + 1


async def test_what_is_tried_again_is_held_as_well(service: Service, switches: SqlSwitches) -> None:
    asked = await service.ask()
    failed = asked.failed(Failure(reason="NO_CANDIDATES", message="Nobody has it."), CLOCK.now())
    await service.end(await service.claim(), Move(acquisition=failed))
    await switches.set_switch(ON)

    again = await service.acquisitions.retry(asked.id, etag="", actor="me")

    assert again.state is State.QUEUED
    assert await service.jobs.claim("soulseek", "test", 1, TTL) == []
    await switches.set_switch(OFF)
    assert (await service.claim()).id == asked.id


async def test_a_refusal_names_who_and_why(switches: SqlSwitches) -> None:
    on = await switches.set_switch(ON)

    with pytest.raises(KillSwitchOn, match="ann put it on: a new disk") as refused:
        on.ensure_off()

    assert (refused.value.metadata["actor"], refused.value.metadata["reason"]) == ("ann", "a new disk")


async def test_the_metric_follows_the_row_and_counts_what_cannot_be_read_as_on(
    service: Service, switches: SqlSwitches
) -> None:
    metrics = Metrics()
    sampler = Sampler(switches, metrics=UpkeepMetrics(metrics))
    shown = [_shown(metrics)]

    await sampler.run_once()
    shown.append(_shown(metrics))
    await switches.set_switch(ON)
    await sampler.run_once()
    shown.append(_shown(metrics))
    await switches.set_switch(OFF)
    await sampler.run_once()
    shown.append(_shown(metrics))
    await Sampler(Gone(service.database), metrics=UpkeepMetrics(metrics := Metrics())).run_once()
    shown.append(_shown(metrics))

    assert shown == ["1.0", "0.0", "1.0", "0.0", "1.0"]


class Gone(SqlSwitches):
    """A switch that cannot be read."""

    async def switch(self) -> Switch:
        raise Unavailable("the database is away")


def _shown(metrics: Metrics) -> str:
    [line] = [line for line in metrics.render().decode().splitlines() if line.startswith("lockgroove_kill_switch ")]
    return line.split()[1]
