"""What the automation does at the real acquisition service: found by why it failed, queued again once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from libs.sql.engine import open_database
from libs.sql.migrations import migrate
from services.acquisition import migrations
from services.acquisition.domain.album import Album
from services.acquisition.domain.peers import NetworkUnusable
from services.config.automations.acquisitions import AcquisitionSwitch, RetryUnavailable
from services.config.domain.automations import Action, ActionStatus, Candidate, Outcome
from services.config.domain.safety import Switch
from tests.integration.acquisition.network import MemoryNetwork
from tests.integration.acquisition.replicas import Service, replica

ALBUM = Album(artist="The Placeholders", title="Lorem")


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    url = f"sqlite+aiosqlite:///{tmp_path}/test.db"
    async with open_database(url, schema="test") as database:
        await migrate(database, package=migrations.__name__, head=migrations.HEAD)
        async with replica(database, tmp_path, ALBUM, MemoryNetwork()) as service:
            yield service


async def failed(service: Service, title: str, reason: str) -> pb.Acquisition:
    """An acquisition that failed for this reason, by workers that run."""
    service.network.fault = NetworkUnusable(reason, "It failed.")
    asked = await service.ask(replace(ALBUM, title=title))
    return await service.in_state(asked.name, pb.Acquisition.FAILED)


async def failed_once(service: Service) -> pb.Acquisition:
    """One that nobody had; the workers are stopped again."""
    async with service.working():
        return await failed(service, "First", "NO_CANDIDATES")


def action(wish: Candidate) -> Action:
    return Action(
        id="act-1",
        automation="retry-unavailable",
        user=wish.user,
        target=wish.target,
        description=wish.description,
        status=ActionStatus.PENDING,
        reason="",
        etag=wish.etag,
        acted_at=datetime.now(UTC),
    )


async def test_only_what_nobody_had_is_found_what_failed_first_first(service: Service) -> None:
    async with service.working():
        first = await failed(service, "First", "NO_CANDIDATES")
        await failed(service, "Other", "DISK_FULL")
        second = await failed(service, "Second", "NO_RELEASE_FOUND")

    found = await RetryUnavailable(service.stub).candidates(10)

    assert [each.target for each in found] == [first.name, second.name]
    assert found[0].user == first.requester
    assert "The Placeholders - First" in found[0].description


async def test_it_is_queued_again_and_asking_twice_changes_nothing(service: Service) -> None:
    name = (await failed_once(service)).name
    doer = RetryUnavailable(service.stub)
    [wish] = await doer.candidates(1)

    outcomes = [await doer.act(action(wish)) for _ in range(2)]

    assert outcomes == [Outcome(status=ActionStatus.DONE)] * 2
    assert (await service.get(name)).etag == f'"{int(wish.etag.strip(chr(34))) + 1}"'


async def test_what_failed_anew_meanwhile_is_left_alone(service: Service) -> None:
    doer = RetryUnavailable(service.stub)
    async with service.working():
        await failed(service, "First", "NO_CANDIDATES")
        [wish] = await doer.candidates(1)
        await doer.act(action(wish))
        await service.in_state(wish.target, pb.Acquisition.FAILED)

    outcome = await doer.act(action(wish))

    assert outcome == Outcome(status=ActionStatus.FAILED, reason="ETAG_MISMATCH")


async def test_what_is_gone_or_asked_for_anew_is_told(service: Service) -> None:
    await failed_once(service)
    doer = RetryUnavailable(service.stub)
    [wish] = await doer.candidates(1)
    await service.ask(replace(ALBUM, title="First"))

    active = await doer.act(action(wish))
    gone = await doer.act(action(replace(wish, target="acquisitions/acq-gone")))

    assert active == Outcome(status=ActionStatus.FAILED, reason="ALBUM_ACTIVE")
    assert gone == Outcome(status=ActionStatus.FAILED, reason="ACQUISITION_NOT_FOUND")


async def test_the_kill_switch_is_read_as_it_stands(service: Service) -> None:
    switch = AcquisitionSwitch(service.stub)
    found = [await switch()]

    for enabled in (True, False):
        await service.stub.SetKillSwitch(pb.SetKillSwitchRequest(enabled=enabled))
        found.append(await switch())

    assert found == [Switch.OFF, Switch.ON, Switch.OFF]
