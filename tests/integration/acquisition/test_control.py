"""Fallbacks, pauses and the switch as callers meet them: gRPC, the database, the workers and the disk."""

from dataclasses import replace

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from libs.errors import Conflict, InvalidArgument
from services.acquisition.domain.peers import NetworkUnusable
from tests.integration.acquisition.network import Peer
from tests.integration.acquisition.replicas import Service
from tests.support.waiting import eventually


async def test_an_album_that_nobody_has_comes_from_the_fallback(service: Service, honest: Peer) -> None:
    service.slskd.peers = [honest]

    async with service.working():
        done = await service.in_state((await service.ask(fallback=pb.SLSKD)).name, pb.Acquisition.COMPLETED)

    assert (done.source, done.fallback, done.current_source) == (pb.SOULSEEK, pb.SLSKD, pb.SLSKD)
    assert [(each.number, each.source, each.reason) for each in done.attempts] == [
        (1, pb.SOULSEEK, "NO_CANDIDATES"),
        (2, pb.SLSKD, ""),
    ]
    assert len(service.published()) == 2


async def test_an_album_that_neither_source_has_fails_with_both_reasons(service: Service) -> None:
    service.network.fault = NetworkUnusable("SOULSEEK_KICKED", "Somebody else logged in.")
    service.slskd.fault = NetworkUnusable("SLSKD_REFUSED_KEY", "slskd refuses the key.")

    async with service.working():
        failed = await service.in_state((await service.ask(fallback=pb.SLSKD)).name, pb.Acquisition.FAILED)

    assert failed.failure.reason == "SLSKD_REFUSED_KEY"
    assert "Somebody else logged in." in failed.failure.message
    assert "slskd refuses the key." in failed.failure.message


async def test_a_fallback_that_is_not_configured_is_left_out_and_the_failure_says_so(service: Service) -> None:
    service.network.fault = NetworkUnusable("SOULSEEK_KICKED", "Somebody else logged in.")
    service.configured -= {"SLSKD"}

    async with service.working():
        failed = await service.in_state((await service.ask(fallback=pb.SLSKD)).name, pb.Acquisition.FAILED)

    assert failed.failure.reason == "SOULSEEK_KICKED"
    assert "The fallback SLSKD was left out" in failed.failure.message
    assert failed.current_source == pb.SOULSEEK


async def test_no_fallback_is_asked_for_a_source_that_was_named_alone(service: Service, honest: Peer) -> None:
    service.network.fault = NetworkUnusable("SOULSEEK_KICKED", "Somebody else logged in.")
    service.slskd.peers = [honest]

    async with service.working():
        failed = await service.in_state((await service.ask()).name, pb.Acquisition.FAILED)

    assert failed.failure.reason == "SOULSEEK_KICKED"
    assert (service.slskd.asked, service.published()) == ([], [])


async def test_a_library_that_is_missing_is_no_reason_to_ask_the_fallback(service: Service, honest: Peer) -> None:
    service.network.peers = service.slskd.peers = [honest]
    service.music.rmdir()

    async with service.working():
        failed = await service.in_state((await service.ask(fallback=pb.SLSKD)).name, pb.Acquisition.FAILED)

    assert failed.failure.reason == "LIBRARY_MISSING"
    assert service.slskd.asked == []


async def test_cancelling_during_the_fallback_aborts_its_transfers(service: Service, honest: Peer) -> None:
    honest.hangs = True
    service.slskd.peers = [honest]
    async with service.working():
        asked = await service.ask(fallback=pb.SLSKD)
        await eventually(lambda: _true(service.slskd.fetched))

        cancelled = await service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=asked.name))

    assert cancelled.state == pb.Acquisition.CANCELLED
    assert service.slskd.aborted == len(service.slskd.fetched)
    assert service.staged() == []


async def test_a_pause_stops_the_transfer_and_a_resume_goes_on_in_the_same_attempt(
    service: Service, honest: Peer
) -> None:
    honest.hangs = True
    service.network.peers = [honest]
    async with service.working():
        asked = await service.ask()
        await service.fetching()
        held = await service.stub.PauseAcquisition(pb.PauseAcquisitionRequest(name=asked.name))
        await eventually(lambda: _true(service.network.aborted == len(service.network.fetched)))
        assert (held.paused, (await service.get(asked.name)).state) == (True, pb.Acquisition.DOWNLOADING)
        honest.hangs = False

        await service.stub.ResumeAcquisition(pb.ResumeAcquisitionRequest(name=asked.name))

        done = await service.in_state(asked.name, pb.Acquisition.COMPLETED)
    assert len(done.attempts) == 1


async def test_a_transferring_acquisition_that_is_paused_can_be_cancelled(service: Service, honest: Peer) -> None:
    honest.hangs = True
    service.network.peers = [honest]
    async with service.working():
        asked = await service.ask()
        await service.fetching()
        await service.stub.PauseAcquisition(pb.PauseAcquisitionRequest(name=asked.name))

        await service.stub.CancelAcquisition(pb.CancelAcquisitionRequest(name=asked.name))

        await service.in_state(asked.name, pb.Acquisition.CANCELLED)
    assert service.staged() == []


async def test_the_switch_stops_what_runs_and_lets_it_go_on_later(service: Service, honest: Peer) -> None:
    honest.hangs = True
    service.network.peers = [honest]
    async with service.working():
        asked = await service.ask()
        await service.fetching()
        status = await service.stub.PauseAcquisitions(pb.PauseAcquisitionsRequest(reason="a new disk"))
        await eventually(lambda: _true(service.network.aborted == len(service.network.fetched)))
        assert (status.paused, status.reason) == (True, "a new disk")
        assert (await service.ask(replace(service.album, title="Another"))).state == pb.Acquisition.QUEUED
        honest.hangs = False

        await service.stub.ResumeAcquisitions(pb.ResumeAcquisitionsRequest())

        await service.in_state(asked.name, pb.Acquisition.COMPLETED)
    assert not (await service.stub.GetAcquisitionsStatus(pb.GetAcquisitionsStatusRequest())).paused


async def test_a_priority_is_changed_by_its_mask_and_guarded_by_the_etag(service: Service) -> None:
    asked = await service.ask()
    wanted = pb.Acquisition(name=asked.name, priority=9, etag=asked.etag)

    changed = await service.stub.UpdateAcquisition(
        pb.UpdateAcquisitionRequest(acquisition=wanted, update_mask=FieldMask(paths=["priority"]))
    )

    assert changed.priority == 9
    with pytest.raises(Conflict):
        await service.stub.UpdateAcquisition(pb.UpdateAcquisitionRequest(acquisition=wanted))


@pytest.mark.parametrize("mask", [["album"], ["priority", "source"], []])
async def test_nothing_but_the_priority_can_be_changed(service: Service, mask: list[str]) -> None:
    name = (await service.ask()).name
    request = pb.UpdateAcquisitionRequest(
        acquisition=pb.Acquisition(name=name), update_mask=FieldMask(paths=mask) if mask else None
    )

    with pytest.raises(InvalidArgument):
        await service.stub.UpdateAcquisition(request)


async def _true(fact: object) -> bool:
    return bool(fact)
