"""Who may call what: keys, scopes, the suite's own token; the check comes before everything that could tell more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.config.v1 import config_pb2_grpc as rpc
from lockgroove.webhooks.v1 import webhooks_pb2 as webhooks
from lockgroove.webhooks.v1 import webhooks_pb2_grpc as webhooks_rpc

from libs.errors import NotFound, PermissionDenied, Unauthenticated, Unavailable
from libs.rpc import context
from libs.rpc.auth import KeyAuthenticator, digest
from libs.rpc.server import Server
from tests.contract.rpc.conftest import SERVICE_TOKEN, Config, Net, Stream

ADMIN = pb.ApiKey(title="the admin", digest=digest("lg_admin"), scopes=[api.ADMIN])
READER = pb.ApiKey(title="a reader", digest=digest("lg_reader"), scopes=[api.READ])
PRETENDER = pb.ApiKey(title="a pretender", digest=digest("lg_pretender"), scopes=[api.ADMIN, api.INTERNAL])
KEYS = [ADMIN, READER, PRETENDER]


async def get(net: Net, credential: str | None, metadata: Any = None, config: Config | None = None) -> pb.Settings:
    stub = await net.stub(config or Config(), credential, keys=KEYS)
    settings: pb.Settings = await stub.GetSettings(pb.GetSettingsRequest(), metadata=metadata)
    return settings


async def test_no_credential_is_unauthenticated(net: Net) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await get(net, None)

    assert caught.value.code_reason == "CREDENTIAL_MISSING"


@pytest.mark.parametrize("wrong", ["lg_nobody", "lg_admi", "lg_adminx", "x" * 5000, "LG_ADMIN"])
async def test_a_credential_that_nobody_holds_is_unauthenticated(net: Net, wrong: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await get(net, wrong)

    assert caught.value.code_reason == "CREDENTIAL_INVALID"
    assert wrong not in caught.value.message


@pytest.mark.parametrize(
    "metadata",
    [
        [("x-api-key", "lg_admin")],
        [("authorization", "Bearer lg_admin")],
        [("authorization", "bearer lg_admin")],
        [("x-api-key", "lg_admin"), ("authorization", "Basic bm9ib2R5")],
    ],
)
async def test_a_key_is_taken_from_either_header(net: Net, metadata: list[tuple[str, str]]) -> None:
    assert await get(net, None, metadata)


async def test_a_basic_authorization_is_no_credential(net: Net) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await get(net, None, [("authorization", "Basic bGdfYWRtaW4=")])

    assert caught.value.code_reason == "CREDENTIAL_MISSING"


async def test_a_calls_own_credential_replaces_the_channels(net: Net) -> None:
    with pytest.raises(PermissionDenied):
        await get(net, SERVICE_TOKEN, [("x-api-key", "lg_reader")])


async def test_a_key_without_the_scope_is_denied_by_its_name(net: Net) -> None:
    with pytest.raises(PermissionDenied) as caught:
        await get(net, "lg_reader")

    assert caught.value.code_reason == "SCOPE_MISSING"
    assert caught.value.metadata == {"scope": "ADMIN"}


async def test_permission_is_checked_before_the_handler_could_say_what_exists(net: Net) -> None:
    async def absent(request: Any) -> pb.Settings:
        raise NotFound("no such thing")

    with pytest.raises(PermissionDenied):
        await get(net, "lg_reader", config=Config(get=absent))


async def test_permission_is_checked_before_the_request_is_read(net: Net) -> None:
    stub = await net.stub(Config(), "lg_reader", keys=KEYS)

    with pytest.raises(PermissionDenied):
        await stub.UpdateSettings(pb.UpdateSettingsRequest())


async def test_the_handler_knows_who_calls(net: Net) -> None:
    names: list[str] = []

    async def note(request: Any) -> pb.Settings:
        names.append(context.principal.get().name)
        return pb.Settings()

    await get(net, "lg_admin", config=Config(get=note))

    assert names == ["the admin"]


@pytest.mark.parametrize("credential", ["lg_admin", "lg_pretender"])
async def test_no_key_reaches_an_internal_method_not_even_one_that_lists_the_scope(net: Net, credential: str) -> None:
    stub = await net.stub(Config(), credential, keys=KEYS)

    with pytest.raises(PermissionDenied):
        await anext(aiter(stub.WatchSnapshots(pb.WatchSnapshotsRequest())))


async def test_the_suites_token_may_call_everything(net: Net) -> None:
    stub = await net.stub(Config(), SERVICE_TOKEN, keys=KEYS)

    assert await stub.GetSettings(pb.GetSettingsRequest())
    assert await anext(aiter(stub.WatchSnapshots(pb.WatchSnapshotsRequest())))


async def test_a_key_that_was_taken_back_is_refused_from_the_next_call_on(net: Net) -> None:
    keys = [ADMIN]
    stub = await net.stub(Config(), "lg_admin", keys=keys)
    await stub.GetSettings(pb.GetSettingsRequest())

    keys.clear()

    with pytest.raises(Unauthenticated):
        await stub.GetSettings(pb.GetSettingsRequest())


async def test_a_stream_ends_when_its_key_is_taken_back(net: Net) -> None:
    keys = [ADMIN]
    waiting = asyncio.Event()

    async def endless(request: Any) -> AsyncIterator[webhooks.WatchEventsResponse]:
        waiting.set()
        await asyncio.Event().wait()
        yield webhooks.WatchEventsResponse()

    server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([SERVICE_TOKEN], lambda: list(keys)))
    name = webhooks.DESCRIPTOR.services_by_name["WebhooksService"].full_name
    async with server.add(Sources(endless), webhooks_rpc.add_WebhooksServiceServicer_to_server, name):
        stub = webhooks_rpc.WebhooksServiceStub(await net.channel(server.address, "lg_admin"))
        first = asyncio.ensure_future(anext(aiter(stub.WatchEvents(webhooks.WatchEventsRequest()))))
        await waiting.wait()

        keys.clear()

        with pytest.raises(Unauthenticated):
            await first


class Sources(webhooks_rpc.WebhooksServiceServicer):
    """Answers a public method, one for readers, and a stream as the test says."""

    def __init__(self, watch: Stream | None = None) -> None:
        self._watch = watch

    async def WatchEvents(self, request: Any, context: Any) -> AsyncIterator[webhooks.WatchEventsResponse]:
        assert self._watch is not None
        async for message in self._watch(request):
            yield message

    async def VerifySource(self, request: Any, context: Any) -> webhooks.VerifySourceResponse:
        return webhooks.VerifySourceResponse(source=request.source, ready=True)

    async def GetEvent(self, request: Any, context: Any) -> webhooks.Event:
        return webhooks.Event(name=request.name)

    IngestDeliveries = ListEvents = ListEventAttempts = ReplayEvent = None  # type: ignore[assignment] # never called


def absent_keys() -> list[pb.ApiKey]:
    raise Unavailable("the keys are not here yet")


async def webhooks_stub(net: Net, credential: str | None) -> AsyncIterator[webhooks_rpc.WebhooksServiceStub]:
    server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([SERVICE_TOKEN], absent_keys))
    name = webhooks.DESCRIPTOR.services_by_name["WebhooksService"].full_name
    async with server.add(Sources(), webhooks_rpc.add_WebhooksServiceServicer_to_server, name):
        yield webhooks_rpc.WebhooksServiceStub(await net.channel(server.address, credential))


@pytest.mark.parametrize("credential", [None, "lg_nobody"])
async def test_a_public_method_asks_for_nothing(net: Net, credential: str | None) -> None:
    async for stub in webhooks_stub(net, credential):
        assert (await stub.VerifySource(webhooks.VerifySourceRequest(source="lidarr"))).ready


async def test_while_the_keys_are_away_a_key_is_neither_right_nor_wrong(net: Net) -> None:
    async for stub in webhooks_stub(net, "lg_admin"):
        with pytest.raises(Unavailable):
            await stub.GetEvent(webhooks.GetEventRequest(name="events/a"))


async def test_while_the_keys_are_away_the_suite_still_knows_itself(net: Net) -> None:
    async for stub in webhooks_stub(net, SERVICE_TOKEN):
        assert await stub.GetEvent(webhooks.GetEventRequest(name="events/a"))


def test_a_service_whose_method_has_no_scope_does_not_start() -> None:
    server = Server("127.0.0.1:0", authenticator=KeyAuthenticator([SERVICE_TOKEN], list))

    with pytest.raises(ValueError, match=r"grpc\.health\.v1\.Health\.Check has no"):
        server.add(object(), rpc.add_ConfigServiceServicer_to_server, "grpc.health.v1.Health")


def test_a_credential_that_is_no_text_is_invalid() -> None:
    with pytest.raises(Unauthenticated):
        KeyAuthenticator([SERVICE_TOKEN], list).authenticate({"x-api-key": "\udcff"})


@pytest.mark.parametrize("odd", ["schlüssel", "tab\there", "line\nbreak", "nul\x00"])
async def test_a_credential_that_no_header_can_hold_is_refused_before_it_is_sent(net: Net, odd: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await get(net, None, [("x-api-key", odd)])

    assert caught.value.code_reason == "CREDENTIAL_INVALID"
