"""Every AppError crosses a real call unharmed; nothing else crosses at all."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # typed, but not marked so
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc
from structlog.testing import capture_logs

from libs import errors
from libs.errors import AppError, FailedPrecondition, Internal, InvalidArgument, NotFound, Unavailable, Violation
from libs.rpc.errors import DETAILS, DOMAIN
from tests.contract.rpc.conftest import SERVICE_TOKEN, Config, Net, call_raw

TREE = [kind for kind in AppError.__subclasses__() if kind.__module__ == errors.__name__]
VISIBLE = [kind for kind in TREE if kind is not Internal]


class WindowClosed(FailedPrecondition):
    """An error as a service names it."""

    reason = "WINDOW_CLOSED"


def raising(error: Exception) -> Config:
    async def get(request: Any) -> pb.Settings:
        raise error

    return Config(get=get)


async def received(net: Net, error: Exception) -> AppError:
    """What a caller gets when the handler raises this."""
    stub = await net.stub(raising(error))
    with pytest.raises(AppError) as caught:
        await stub.GetSettings(pb.GetSettingsRequest())
    return caught.value


def test_the_tree_has_the_twelve_classes_of_its_picture() -> None:
    assert len(TREE) == 12


@pytest.mark.parametrize("kind", TREE)
async def test_the_class_crosses(net: Net, kind: type[AppError]) -> None:
    assert type(await received(net, kind("what happened"))) is kind


@pytest.mark.parametrize("kind", VISIBLE)
async def test_everything_an_error_says_crosses(net: Net, kind: type[AppError]) -> None:
    violations = [Violation(field="album.tracks[1].title", description="too long", reason="string.max_len")]
    sent = kind(
        "ein Wort, “zitiert”, %20 und 一二三",
        metadata={"name": "acquisitions/a"},
        violations=violations,
        retry_after=timedelta(seconds=1.5),
        reason="SOME_REASON",
    )

    got = await received(net, sent)

    assert got.message == sent.message
    assert got.metadata == sent.metadata
    assert got.violations == sent.violations
    assert got.retry_after == sent.retry_after
    assert got.code_reason == "SOME_REASON"


async def test_a_services_own_error_arrives_as_its_parent_with_its_reason(net: Net) -> None:
    got = await received(net, WindowClosed("closed"))

    assert type(got) is FailedPrecondition
    assert got.code_reason == "WINDOW_CLOSED"


async def test_an_internal_error_keeps_its_text_and_metadata_to_itself(net: Net) -> None:
    got = await received(net, Internal("row 7 of table keys", metadata={"row": "7"}))

    assert got.message == "internal error"
    assert got.metadata == {}


async def test_an_unforeseen_exception_is_an_internal_error_without_its_text(net: Net) -> None:
    got = await received(net, ValueError("the password is hunter2"))

    assert type(got) is Internal
    assert "hunter2" not in f"{got.message} {got.metadata} {got.code_reason}"


async def test_an_unforeseen_exception_is_logged_once_with_its_text(net: Net) -> None:
    with capture_logs() as logs:
        await received(net, ValueError("the cause"))

    failures = [line for line in logs if line["event"] == "rpc.failed"]
    assert len(failures) == 1
    assert failures[0]["method"] == "lockgroove.config.v1.ConfigService/GetSettings"


async def test_more_violations_than_trailers_can_hold_are_cut_and_the_rest_arrives(net: Net) -> None:
    violations = [Violation(field=f"tracks[{n}].title", description="d" * 100, reason="r") for n in range(500)]

    got = await received(net, InvalidArgument("m" * 5000, violations=violations))

    assert type(got) is InvalidArgument
    assert 10 < len(got.violations) < 500
    assert got.violations == tuple(violations[: len(got.violations)])


async def test_a_status_has_exactly_one_error_info_of_our_domain(net: Net) -> None:
    server = await net.serve(raising(NotFound("no such thing")))
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.ConfigServiceStub(channel).GetSettings(
                pb.GetSettingsRequest(), metadata=[("authorization", f"Bearer {SERVICE_TOKEN}")]
            )

    status = status_pb2.Status.FromString(dict(caught.value.trailing_metadata())[DETAILS])
    infos = [detail for detail in status.details if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    info = error_details_pb2.ErrorInfo.FromString(infos[0].value)
    assert len(infos) == 1
    assert (info.domain, info.reason) == (DOMAIN, "NOT_FOUND")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_error_in_the_middle_of_a_stream_arrives_behind_the_messages_before_it(net: Net) -> None:
    async def watch(request: Any) -> AsyncIterator[pb.Snapshot]:
        yield pb.Snapshot(revision=1)
        raise WindowClosed("closed")

    stub = await net.stub(Config(watch=watch))
    stream = aiter(stub.WatchSnapshots(pb.WatchSnapshotsRequest()))

    assert (await anext(stream)).revision == 1
    with pytest.raises(FailedPrecondition) as caught:
        await anext(stream)
    assert caught.value.code_reason == "WINDOW_CLOSED"


async def test_nobody_listening_is_unavailable_with_the_services_name_and_no_address(net: Net) -> None:
    server = await net.serve(Config())
    await server.__aexit__()
    stub = rpc.ConfigServiceStub(await net.channel(server.address))

    with pytest.raises(Unavailable) as caught:
        await stub.GetSettings(pb.GetSettingsRequest())

    assert caught.value.message == "lockgroove.config.v1.ConfigService cannot be reached"
    assert caught.value.retry_after is not None


async def test_a_method_that_the_server_lacks_is_unimplemented(net: Net) -> None:
    server = await net.serve(Config())
    channel = await net.channel(server.address)

    with pytest.raises(errors.Unimplemented):
        await call_raw(channel, "Nothing", b"")
