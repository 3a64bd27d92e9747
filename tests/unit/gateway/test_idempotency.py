"""`Idempotency-Key` as the `requestId` of a call."""

from functools import partial

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb

from libs.errors import InvalidArgument
from libs.live import SettingsAbsent
from libs.rpc.principal import Principal
from services.gateway.access.callers import Caller
from services.gateway.rpcs.idempotency import filler, request_id_of

ANN = partial(Principal, name="ann", scopes=frozenset(), key="key-1")
BEN = partial(Principal, name="ben", scopes=frozenset(), key="key-2")
METHOD = "a.b.Make"
UUID = "3F333DF6-90a4-4fda-8dd3-9485d27cee36"


def test_a_uuid_is_the_request_id_as_it_is() -> None:
    assert request_id_of(UUID, METHOD, ANN) == UUID
    assert request_id_of(f'"{UUID}"', METHOD, ANN) == UUID


def test_any_other_key_is_the_same_uuid_each_time() -> None:
    assert request_id_of("order 7", METHOD, ANN) == request_id_of("order 7", METHOD, ANN)


def test_the_key_of_somebody_else_or_of_another_method_is_another_call() -> None:
    same_words = [("order 7", METHOD, ANN), ("order 7", METHOD, BEN), ("order 7", "a.b.Take", ANN)]

    assert len({request_id_of(*each) for each in same_words}) == 3


def test_while_nobody_can_tell_who_calls_only_a_uuid_is_enough() -> None:
    unknown = Caller(refusal=SettingsAbsent("not yet")).identified

    assert request_id_of(UUID, METHOD, unknown) == UUID
    with pytest.raises(SettingsAbsent):
        request_id_of("order 7", METHOD, unknown)


@pytest.mark.parametrize("sent", ["", "x" * 256, "a\tb", "caf\xe9"])
def test_a_key_that_cannot_be_one_is_named(sent: str) -> None:
    with pytest.raises(InvalidArgument, match="idempotency-key"):
        request_id_of(sent, METHOD, ANN)


def test_a_request_id_that_says_otherwise_is_refused() -> None:
    fill = filler(METHOD, pb.CreateAcquisitionRequest.DESCRIPTOR)
    assert fill is not None

    fill(pb.CreateAcquisitionRequest(request_id=UUID.lower()), UUID, ANN)
    with pytest.raises(InvalidArgument, match="differs from requestId"):
        fill(pb.CreateAcquisitionRequest(request_id=UUID), "order 7", ANN)


def test_requests_without_such_a_field_are_left_alone() -> None:
    assert filler(METHOD, pb.GetAcquisitionRequest.DESCRIPTOR) is None
