"""The API of automations on the whole config service, whose acquisition service is away: what is unknown forbids."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import automations_pb2 as pb
from lockgroove.config.v1 import automations_pb2_grpc as rpc
from lockgroove.config.v1 import keys_pb2 as keys
from lockgroove.config.v1 import keys_pb2_grpc as keys_rpc

from libs.errors import Conflict, InvalidArgument, NotFound, PermissionDenied, Unauthenticated
from libs.rpc.client import open_channel
from services.config.settings import Settings
from tests.integration.config.conftest import ADMIN_KEY, serving, settings_in
from tests.support.ports import free_ports
from tests.support.waiting import eventually

NAME = "automations/retry-unavailable"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(settings_in(tmp_path), acquisition=f"127.0.0.1:{free_ports(1)[0]}")


@pytest.fixture
async def stub(settings: Settings) -> AsyncIterator[rpc.AutomationServiceStub]:
    async with serving(settings), open_channel(settings.listen, credential=ADMIN_KEY) as channel:
        yield rpc.AutomationServiceStub(channel)


@asynccontextmanager
async def reader(settings: Settings) -> AsyncIterator[rpc.AutomationServiceStub]:
    """A client who may operate, and is no administrator."""
    wanted = keys.Key(title="web", user="ann", scopes=[api.OPERATE])
    async with open_channel(settings.listen, credential=ADMIN_KEY) as channel:
        made = await keys_rpc.KeyServiceStub(channel).CreateKey(keys.CreateKeyRequest(key=wanted))
    async with open_channel(settings.listen, credential=made.secret) as channel:
        yield rpc.AutomationServiceStub(channel)


async def test_where_the_kill_switch_cannot_be_read_everything_is_held(stub: rpc.AutomationServiceStub) -> None:
    status = await stub.GetSafetyStatus(pb.GetSafetyStatusRequest())
    checked = await stub.CheckLimits(pb.CheckLimitsRequest(target="acquisitions/acq-1"))
    wanted = pb.Automation(name=NAME, enabled=True)
    on = await stub.UpdateAutomation(pb.UpdateAutomationRequest(automation=wanted))

    assert (status.global_kill_switch_enabled, status.status, status.reason) == (True, pb.SafetyStatus.PAUSED, "error")
    assert status.user_config.dry_run_mode
    assert status.user_config.max_actions_per_target_per_day == 2
    assert (checked.allowed, checked.reason, checked.HasField("retry_after")) == (False, "error", False)
    assert (on.state, on.enabled, bool(on.actor)) == (pb.Automation.HELD, True, True)


async def test_what_is_listed_is_off_after_a_fresh_start(stub: rpc.AutomationServiceStub) -> None:
    listed = (await stub.ListAutomations(pb.ListAutomationsRequest())).automations

    assert [each.name for each in listed] == [NAME]
    assert [each.state for each in listed] == [pb.Automation.OFF]
    assert (await stub.GetAutomation(pb.GetAutomationRequest(name=NAME))) == listed[0]
    assert listed[0].interval.ToSeconds() == 24 * 3600


async def test_what_is_wrong_with_a_change_is_told(stub: rpc.AutomationServiceStub) -> None:
    def change(mask: str, **fields: object) -> pb.UpdateAutomationRequest:
        wanted = pb.Automation(name=NAME, **fields)  # type: ignore[arg-type]  # of one field each
        return pb.UpdateAutomationRequest(automation=wanted, update_mask=FieldMask(paths=[mask] if mask else []))

    for request in (change("title", title="x"), change("enabled")):
        with pytest.raises(InvalidArgument):
            await stub.UpdateAutomation(request)
    with pytest.raises(Conflict) as refused:
        await stub.UpdateAutomation(change("", enabled=True, etag='"7"'))
    assert refused.value.metadata["etag"] == '"1"'
    with pytest.raises(NotFound):
        await stub.GetAutomation(pb.GetAutomationRequest(name="automations/another"))


async def test_others_need_to_be_administrators(settings: Settings) -> None:
    async with serving(settings), reader(settings) as stub:

        async def known() -> pb.SafetyStatus | None:
            with suppress(Unauthenticated):  # the key is a moment old
                return await stub.GetSafetyStatus(pb.GetSafetyStatusRequest())
            return None

        assert (await eventually(known)).user_id == "ann"
        assert (await stub.ResumeAutomations(pb.ResumeAutomationsRequest(user_id="ann"))).user_id == "ann"
        with pytest.raises(PermissionDenied):
            await stub.GetSafetyStatus(pb.GetSafetyStatusRequest(user_id="bob"))
        with pytest.raises(PermissionDenied):
            await stub.CheckLimits(pb.CheckLimitsRequest(user_id="bob"))
        with pytest.raises(PermissionDenied):
            await stub.ResumeAutomations(pb.ResumeAutomationsRequest(user_id="bob"))
        wanted = pb.UpdateAutomationRequest(automation=pb.Automation(name=NAME, enabled=True))
        with pytest.raises(PermissionDenied):
            await stub.UpdateAutomation(wanted)
