"""The catalogue: what the proto declares, and which texts are values."""

import pytest
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from hypothesis import given
from hypothesis import strategies as st
from lockgroove.config.v1 import config_pb2 as pb

from services.config.catalogue import load_catalogue, option
from services.config.domain.catalogue import Kind, ReadOnlySetting, SettingSpec, UnknownSetting, WrongValueError
from services.config.rules import ProtoRules

CATALOGUE = load_catalogue()
SUBJECTS = [
    (field, field.message_type)
    for field in pb.Settings.DESCRIPTOR.fields
    if field.message_type is not None and not field.is_repeated
]


def spec(kind: Kind, choices: tuple[str, ...] = ()) -> SettingSpec:
    return SettingSpec(path="a.b", json_path="a.b", kind=kind, choices=choices)


def test_every_field_of_a_subject_is_a_setting() -> None:
    declared = {f"{subject.name}.{field.name}" for subject, message in SUBJECTS for field in message.fields}

    assert {each.path for each in CATALOGUE} == declared


def test_every_setting_names_its_environment_variable() -> None:
    assert all(each.environment for each in CATALOGUE)


def test_no_two_settings_share_an_environment_variable() -> None:
    names = [each.environment for each in CATALOGUE]

    assert len(names) == len(set(names))


def test_every_secret_is_input_only_in_the_api() -> None:
    fields = [field for _, message in SUBJECTS for field in message.fields]
    input_only = {field.full_name for field in fields if "INPUT_ONLY" in str(field.GetOptions())}

    assert input_only == {field.full_name for field in fields if option(field).secret}


@pytest.mark.parametrize("each", [each for each in CATALOGUE if each.default], ids=lambda each: each.path)
def test_a_default_is_a_value_in_its_one_spelling(each: SettingSpec) -> None:
    assert each.parse(each.default) == each.default


def test_the_defaults_obey_the_rules() -> None:
    defaults = {each.path: each.default for each in CATALOGUE if each.default}

    assert ProtoRules(CATALOGUE).check(defaults) == []


def test_a_setting_knows_its_json_spelling() -> None:
    assert CATALOGUE.get("lidarr.api_key").json_path == "lidarr.apiKey"


def test_a_field_of_a_type_that_no_setting_can_have_stops_the_start() -> None:
    file = FileDescriptorProto(name="t.proto", package="t", syntax="proto3")
    file.message_type.add(name="Subject").field.add(name="blob", number=1, type=FieldDescriptorProto.TYPE_BYTES)
    file.message_type.add(name="Settings").field.add(
        name="subject", number=1, type=FieldDescriptorProto.TYPE_MESSAGE, type_name=".t.Subject"
    )
    pool = DescriptorPool()
    pool.Add(file)

    with pytest.raises(TypeError, match=r"t\.Subject\.blob"):
        load_catalogue(pool.FindMessageTypeByName("t.Settings"))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.INTEGER, "0", "0"),
        (Kind.INTEGER, " 42 ", "42"),
        (Kind.INTEGER, "-2147483648", "-2147483648"),
        (Kind.BOOLEAN, "True", "true"),
        (Kind.DURATION, "60s", "60s"),
        (Kind.DURATION, "1.5S", "1.5s"),
        (Kind.CHOICE, "lidarr", "LIDARR"),
        (Kind.TEXT, " Mötley ", " Mötley "),
    ],
)
def test_a_text_stands_for_a_value(kind: Kind, text: str, value: str) -> None:
    assert spec(kind, ("SOULSEEK", "LIDARR")).parse(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Kind.INTEGER, "1_000"),
        (Kind.INTEGER, "1e2"),
        (Kind.INTEGER, "٣"),
        (Kind.INTEGER, "2147483648"),
        (Kind.BOOLEAN, "1"),
        (Kind.DURATION, "60"),
        (Kind.DURATION, "1m"),
        (Kind.DURATION, "-1s"),
        (Kind.DURATION, "1.0000000001s"),
        (Kind.DURATION, "999999999999s"),
        (Kind.CHOICE, "SOURCE_UNSPECIFIED"),
        (Kind.TEXT, "a\x00b"),
        (Kind.TEXT, "a\nb"),
        (Kind.TEXT, "a\udcffb"),
    ],
)
def test_a_text_that_is_no_value_is_refused(kind: Kind, text: str) -> None:
    with pytest.raises(WrongValueError, match="expected"):
        spec(kind, ("SOULSEEK", "LIDARR")).parse(text)


@given(kind=st.sampled_from(Kind), text=st.text().map(lambda text: f"{text}\0"))
def test_what_is_refused_is_never_quoted(kind: Kind, text: str) -> None:
    with pytest.raises(WrongValueError) as caught:
        spec(kind, ("SOULSEEK",)).parse(text)

    assert str(caught.value) == f"expected {spec(kind, ('SOULSEEK',)).expected}"


@given(kind=st.sampled_from(Kind), text=st.text())
def test_a_value_is_its_own_spelling(kind: Kind, text: str) -> None:
    try:
        value = spec(kind, ("SOULSEEK",)).parse(text)
    except WrongValueError:
        return
    assert spec(kind, ("SOULSEEK",)).parse(value) == value


def test_a_subject_stands_for_all_of_its_settings() -> None:
    assert {each.path for each in CATALOGUE.named(["lastfm"])} == {
        f"lastfm.{name}" for name in ("enabled", "url", "api_key", "api_secret", "cache_ttl")
    }


def test_a_setting_that_is_named_twice_changes_once() -> None:
    assert [each.path for each in CATALOGUE.named(["lidarr.url", "lidarr.url"])] == ["lidarr.url"]


def test_the_etag_is_no_setting_and_may_be_named() -> None:
    assert CATALOGUE.named(["etag"]) == []


@pytest.mark.parametrize("path", ["sources", "secrets_set", "sources.x"])
def test_what_is_read_only_cannot_be_named(path: str) -> None:
    with pytest.raises(ReadOnlySetting, match=f"update_mask: {path} is read-only"):
        CATALOGUE.named(["lidarr.url", path])


@pytest.mark.parametrize(
    ("path", "nearest"),
    [("lidarr.apikey", "lidarr.api_key"), ("lidarr.apiKey", "lidarr.api_key"), ("lidar", "lidarr")],
)
def test_an_unknown_path_is_answered_with_the_nearest_known_one(path: str, nearest: str) -> None:
    with pytest.raises(UnknownSetting, match=f"did you mean {nearest}\\?"):
        CATALOGUE.named([path])


@pytest.mark.parametrize("path", ["*", "", ".", "lidarr.", "lidarr.url.host", "lidarr.*"])
def test_a_path_of_no_setting_is_refused(path: str) -> None:
    with pytest.raises(UnknownSetting):
        CATALOGUE.named([path])
