"""The catalogue of settings, read from the descriptor of `Settings`: the proto is the only list there is."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.resources import files

from buf.validate import validate_pb2 as validate
from google.api import field_behavior_pb2 as behavior  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from lockgroove.api.v1 import annotations_pb2 as annotations
from lockgroove.config.v1 import config_pb2 as pb

from libs.transcoding.descriptors import comments
from services.config.domain.catalogue import Catalogue, Kind, SettingSpec

_KINDS = {
    FieldDescriptor.TYPE_STRING: Kind.TEXT,
    FieldDescriptor.TYPE_INT32: Kind.INTEGER,
    FieldDescriptor.TYPE_BOOL: Kind.BOOLEAN,
    FieldDescriptor.TYPE_ENUM: Kind.CHOICE,
}
_PRECONDITIONS = frozenset({"etag"})  # the one field beside the settings that callers may send


def load_catalogue(settings: Descriptor = pb.Settings.DESCRIPTOR) -> Catalogue:
    """Every setting that the proto declares. Raises TypeError for a field whose type no setting can have."""
    read_only = {field.name for field in settings.fields if _is_read_only(field)}
    subjects = [field for field in settings.fields if field.name not in read_only | _PRECONDITIONS]
    specs = [_spec(subject, field) for subject, field in _settings(subjects)]
    return Catalogue(specs, read_only=read_only, preconditions=_PRECONDITIONS)


def described(catalogue: Catalogue) -> list[SettingSpec]:
    """The settings with what they mean: the comments of the proto, read anew each time, for few ever ask."""
    said = comments(files("lockgroove").joinpath("descriptors.binpb").read_bytes(), pb.DESCRIPTOR.name)
    return [replace(spec, help=" ".join(said.get(_field(spec).full_name, "").split())) for spec in catalogue]


def option(field: FieldDescriptor) -> annotations.Setting:
    """What the proto says that this setting is."""
    return field.GetOptions().Extensions[annotations.setting]


def _settings(subjects: Iterable[FieldDescriptor]) -> Iterator[tuple[FieldDescriptor, FieldDescriptor]]:
    for subject in subjects:
        if subject.message_type is None:
            raise TypeError(f"{subject.full_name}: settings belong into a subject's message")
        yield from ((subject, field) for field in subject.message_type.fields)


def _spec(subject: FieldDescriptor, field: FieldDescriptor) -> SettingSpec:
    said, rules = option(field), field.GetOptions().Extensions[validate.field]
    minimum, maximum = _bounds(rules)
    return SettingSpec(
        path=f"{subject.name}.{field.name}",
        json_path=f"{subject.json_name}.{field.json_name}",
        kind=_kind(field),
        secret=said.secret,
        environment=said.environment,
        default=said.default_value,
        choices=_choices(field, rules),
        unit=said.unit,
        services=tuple(said.services),
        minimum=minimum,
        maximum=maximum,
        pattern=rules.string.pattern,
        max_length=rules.string.max_len,
    )


def _field(spec: SettingSpec) -> FieldDescriptor:
    subject, _, name = spec.path.partition(".")
    message = pb.Settings.DESCRIPTOR.fields_by_name[subject].message_type
    assert message is not None, "a subject is a message"
    return message.fields_by_name[name]


def _kind(field: FieldDescriptor) -> Kind:
    if field.message_type is not None and field.message_type.full_name == Duration.DESCRIPTOR.full_name:
        return Kind.DURATION
    if field.type not in _KINDS or field.is_repeated:
        raise TypeError(f"{field.full_name}: no setting can have this type")
    return _KINDS[field.type]


def _choices(field: FieldDescriptor, rules: validate.FieldRules) -> tuple[str, ...]:
    """The names of an enum that the rules allow, without its zero value, which means unset."""
    values = () if field.enum_type is None else field.enum_type.values
    return tuple(value.name for value in values if value.number and value.number not in rules.enum.not_in)


def _bounds(rules: validate.FieldRules) -> tuple[str, str]:
    """The least and the most that a number or a duration may be, as texts; empty where nothing says."""
    if rules.HasField("duration"):
        within = rules.duration
        least = within.gte.ToJsonString() if within.HasField("gte") else ""
        return least, within.lte.ToJsonString() if within.HasField("lte") else ""
    number = rules.int32
    return str(number.gte) if number.HasField("gte") else "", str(number.lte) if number.HasField("lte") else ""


def _is_read_only(field: FieldDescriptor) -> bool:
    return behavior.OUTPUT_ONLY in field.GetOptions().Extensions[behavior.field_behavior]
