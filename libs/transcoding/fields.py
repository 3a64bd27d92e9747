"""Fields of messages, as callers name them and as their protos describe them."""

import re
from typing import cast

from google.api import field_behavior_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

# What stands outside of map keys in a path such as `settings.sources["lidarr.api_key"]`.
_STEP_OR_KEY = re.compile(r'\["[^"]*"\]|_+[a-z0-9]')


def field_called(message: Descriptor, name: str) -> FieldDescriptor | None:
    """The field of that name, in JSON or in proto spelling; None when there is none."""
    found = message.fields_by_camelcase_name.get(name) or message.fields_by_name.get(name)
    return found or next((field for field in message.fields if field.json_name == name), None)


def behaviors(field: FieldDescriptor) -> frozenset[int]:
    """Its google.api.field_behavior (AIP-203)."""
    return frozenset(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])


def type_of(message: Message) -> Descriptor:
    """The message's descriptor; the stubs know two classes of them, the runtime one."""
    return cast(Descriptor, message.DESCRIPTOR)


def message_of(field: FieldDescriptor) -> Descriptor:
    """The message type of a message field."""
    assert field.message_type is not None
    return field.message_type


def enum_of(field: FieldDescriptor) -> EnumDescriptor:
    """The enum of an enum field."""
    assert field.enum_type is not None
    return field.enum_type


def is_map(field: FieldDescriptor) -> bool:
    """Whether it is a map."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def json_path(path: str) -> str:
    """A path in JSON spelling: `tracks[1].duration_ms` is `tracks[1].durationMs`; map keys stay as they are."""
    return _STEP_OR_KEY.sub(lambda found: found[0] if found[0].startswith("[") else found[0][-1].upper(), path)
