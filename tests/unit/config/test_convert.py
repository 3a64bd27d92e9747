"""Texts become messages and messages texts, without loss and without secrets."""

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given
from hypothesis import strategies as st
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import InvalidArgument
from services.config import convert
from services.config.catalogue import described, load_catalogue
from services.config.domain.catalogue import Kind, SettingSpec
from services.config.domain.keys import admin_key
from services.config.domain.snapshot import Snapshot
from services.config.domain.values import Fallbacks, InForce, Stored

CATALOGUE = load_catalogue()
SECRETS = {spec.path for spec in CATALOGUE if spec.secret}
VALUES = {
    Kind.TEXT: st.text(st.characters(exclude_categories=["Cs", "Cc"])),
    Kind.INTEGER: st.integers(-(2**31), 2**31 - 1).map(str),
    Kind.BOOLEAN: st.sampled_from(["true", "false"]),
    Kind.DURATION: st.integers(0, 10**9).map(lambda seconds: f"{seconds}s"),
}


def value_of(spec: SettingSpec) -> st.SearchStrategy[str]:
    return st.sampled_from(spec.choices) if spec.kind is Kind.CHOICE else VALUES[spec.kind]


TEXTS = st.fixed_dictionaries({}, optional={spec.path: value_of(spec) for spec in CATALOGUE})


def in_force(texts: dict[str, str]) -> InForce:
    return Fallbacks(CATALOGUE, {}).under(Stored(version=3, texts=texts))


@given(texts=TEXTS)
def test_texts_survive_the_way_through_a_message(texts: dict[str, str]) -> None:
    request = pb.UpdateSettingsRequest(settings=convert.message_of(CATALOGUE, texts))

    assert convert.wish_from_pb(CATALOGUE, request).texts == texts


@given(texts=TEXTS)
def test_a_caller_never_sees_a_secret(texts: dict[str, str]) -> None:
    shown = convert.settings_to_pb(CATALOGUE, in_force(texts))

    assert not convert.wish_from_pb(CATALOGUE, _patch(shown)).texts.keys() & SECRETS


def test_a_caller_sees_which_secrets_are_set() -> None:
    shown = convert.settings_to_pb(CATALOGUE, in_force({"lidarr.api_key": "sesame"}))

    assert list(shown.secrets_set) == ["lidarr.apiKey"]


def test_a_caller_sees_where_values_come_from() -> None:
    shown = convert.settings_to_pb(CATALOGUE, in_force({"lidarr.api_key": "sesame"}))

    assert shown.sources["lidarr.apiKey"] == pb.Settings.DATABASE
    assert shown.sources["soulseek.idleTimeout"] == pb.Settings.DEFAULT
    assert "lidarr.url" not in shown.sources


def test_a_service_gets_secrets_and_digests() -> None:
    key = admin_key("lg_key", title="admin")
    sent = convert.snapshot_to_pb(CATALOGUE, Snapshot(settings=in_force({"lidarr.api_key": "sesame"}), keys=(key,)))

    assert sent.settings.lidarr.api_key == "sesame"
    assert sent.api_keys[0].digest == key.digest


def test_a_wish_keeps_the_mask() -> None:
    request = pb.UpdateSettingsRequest(update_mask=FieldMask(paths=["lidarr.url"]))
    wish = convert.wish_from_pb(CATALOGUE, request)

    assert (wish.mask, wish.texts) == (("lidarr.url",), {})


def test_a_duration_that_has_no_json_form_is_refused_by_its_field() -> None:
    broken = pb.Settings(lidarr=pb.LidarrSettings(poll_interval=Duration(seconds=1, nanos=-1)))

    with pytest.raises(InvalidArgument, match=r"settings\.lidarr\.poll_interval"):
        convert.wish_from_pb(CATALOGUE, _patch(broken))


def _patch(settings: pb.Settings) -> pb.UpdateSettingsRequest:
    return pb.UpdateSettingsRequest(settings=settings)


def test_a_described_setting_carries_all_that_the_catalogue_knows() -> None:
    (shown,) = convert.description_to_pb(
        each for each in described(CATALOGUE) if each.path == "storage.minimum_free_mib"
    ).settings

    assert shown == pb.SettingSpec(
        path="storage.minimumFreeMib",
        type=pb.SettingSpec.INTEGER,
        unit="MiB",
        default_value="500",
        minimum="0",
        maximum="100000000",
        environment="MINIMUM_FREE_MIB",
        services=["acquisition"],
        help="How many MiB must stay free on the disks of downloads and library.",
    )
