"""Requests that break the rules of their proto are refused with every field that is wrong, by its path."""

from typing import Any

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition
from lockgroove.acquisition.v1 import leases_pb2 as leases
from lockgroove.config.v1 import config_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2 as webhooks

from libs.errors import InvalidArgument
from libs.rpc.validation import RequestValidator, ValidationFailed
from tests.contract.rpc.conftest import Config, Net, call_raw


def broken(request: Any) -> dict[str, str]:
    """Field and rule of everything that is wrong."""
    with pytest.raises(ValidationFailed) as caught:
        RequestValidator().check(request)
    return {violation.field: violation.reason for violation in caught.value.violations}


def creation(**album: Any) -> acquisition.CreateAcquisitionRequest:
    album = {"artist": "The Placeholders", "title": "First"} | album
    return acquisition.CreateAcquisitionRequest(acquisition=acquisition.Acquisition(album=acquisition.Album(**album)))


def test_a_good_request_passes() -> None:
    RequestValidator().check(creation(tracks=[acquisition.Track(number=1, title="One")]))


def test_an_empty_create_says_what_is_required() -> None:
    assert broken(acquisition.CreateAcquisitionRequest()) == {"acquisition": "required"}


def test_what_create_requires_is_required_below_too() -> None:
    assert broken(creation(artist="", title="")) == {
        "acquisition.album.artist": "required",
        "acquisition.album.title": "required",
    }


def test_a_path_into_a_repeated_field_has_the_index() -> None:
    tracks = [acquisition.Track(number=1, title="One"), acquisition.Track(number=1000, title="t" * 301)]

    assert broken(creation(tracks=tracks)) == {
        "acquisition.album.tracks[1].number": "int32.gte_lte",
        "acquisition.album.tracks[1].title": "string.max_len",
    }


def test_a_field_is_named_once_even_where_two_rules_want_it() -> None:
    assert broken(creation(tracks=[acquisition.Track()])) == {
        "acquisition.album.tracks[0].number": "required",
        "acquisition.album.tracks[0].title": "required",
    }


def test_a_required_message_in_a_repeated_message_is_required() -> None:
    delivery = webhooks.Delivery(source="lidarr")

    assert broken(webhooks.IngestDeliveriesRequest(deliveries=[delivery])) == {"deliveries[0].receive_time": "required"}


def test_an_update_may_name_a_part_of_the_resource() -> None:
    settings = pb.Settings(lidarr=pb.LidarrSettings(quality_profile_id=2))

    RequestValidator().check(pb.UpdateSettingsRequest(settings=settings))


def test_an_update_still_obeys_the_rules_of_what_it_names() -> None:
    settings = pb.Settings(lidarr=pb.LidarrSettings(url="ftp://nas"))

    assert broken(pb.UpdateSettingsRequest(settings=settings)) == {"settings.lidarr.url": "string.pattern"}


def test_what_the_server_computes_may_be_sent_and_is_ignored() -> None:
    request = creation()
    request.acquisition.attempts.add()

    RequestValidator().check(request)


def test_a_text_with_a_nul_is_refused_wherever_it_is() -> None:
    tracks = [acquisition.Track(number=1, title="One"), acquisition.Track(number=2, title="T\0")]

    assert broken(leases.AcquireLeaseRequest(lease="a", holder="one\0")) == {"holder": "string.nul"}
    assert broken(creation(tracks=tracks)) == {"acquisition.album.tracks[1].title": "string.nul"}


@pytest.mark.parametrize("name", ["", "acquisitions/", "acquisitions/A", "acquisitions/a/b", "events/a"])
def test_a_name_of_another_shape_is_refused(name: str) -> None:
    assert list(broken(acquisition.GetAcquisitionRequest(name=name))) == ["name"]


def test_the_message_names_the_first_field_and_counts_the_others() -> None:
    with pytest.raises(ValidationFailed, match=r"^acquisition\.album\.artist: value is required \(and 1 more\)$"):
        RequestValidator().check(creation(artist="", title=""))


async def test_a_refused_request_never_reaches_the_handler(net: Net) -> None:
    called: list[Any] = []

    async def update(request: Any) -> pb.Settings:
        called.append(request)
        return pb.Settings()

    stub = await net.stub(Config(update=update))
    with pytest.raises(InvalidArgument) as caught:
        await stub.UpdateSettings(pb.UpdateSettingsRequest())

    assert caught.value.code_reason == "VALIDATION_FAILED"
    assert [violation.field for violation in caught.value.violations] == ["settings"]
    assert called == []


@pytest.mark.parametrize("sent", [b"\xff\xff\xff", b"\n\x05\n\x03\n\x01\xff"])
async def test_bytes_that_are_no_message_are_the_callers_fault_and_quote_nothing(net: Net, sent: bytes) -> None:
    server = await net.serve(Config())
    channel = await net.channel(server.address)

    with pytest.raises(InvalidArgument) as caught:
        await call_raw(channel, "UpdateSettings", sent)

    assert caught.value.code_reason == "MALFORMED_REQUEST"
    assert caught.value.message == "the request is not a valid lockgroove.config.v1.UpdateSettingsRequest"


def test_a_name_may_come_without_its_collection_as_old_addresses_have_it() -> None:
    RequestValidator().check(acquisition.GetAcquisitionRequest(name="a1b2"))
