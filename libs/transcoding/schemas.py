"""JSON Schemas (2020-12) of messages and enums, as OpenAPI components under their full proto names."""

from google.api import field_behavior_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from libs.transcoding import wellknown
from libs.transcoding.constraints import Schema, constrained, is_required
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.fields import behaviors, enum_of, is_map, message_of

PATCH_SUFFIX = ".Patch"

F = FieldDescriptor
_INT32: Schema = {"type": "integer", "format": "int32"}
_UINT32: Schema = {"type": "integer", "format": "int64", "minimum": 0}
_INT64: Schema = {"type": "string", "format": "int64", "pattern": "^-?[0-9]+$"}
_SCALARS: dict[int, Schema] = {
    F.TYPE_BOOL: {"type": "boolean"},
    F.TYPE_STRING: {"type": "string"},
    F.TYPE_BYTES: {"type": "string", "format": "byte"},
    F.TYPE_DOUBLE: {"type": ["number", "string"], "format": "double"},
    F.TYPE_FLOAT: {"type": ["number", "string"], "format": "float"},
    F.TYPE_INT32: _INT32,
    F.TYPE_SINT32: _INT32,
    F.TYPE_SFIXED32: _INT32,
    F.TYPE_UINT32: _UINT32,
    F.TYPE_FIXED32: _UINT32,
    F.TYPE_INT64: _INT64,
    F.TYPE_SINT64: _INT64,
    F.TYPE_SFIXED64: _INT64,
    F.TYPE_UINT64: _INT64,
    F.TYPE_FIXED64: _INT64,
}
_WELL_KNOWN: dict[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$",
        "examples": ["1.5s"],
    },
    wellknown.FIELD_MASK: {"type": "string", "examples": ["title,year"]},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    wellknown.VALUE: {},
    wellknown.ANY: {"type": "object", "properties": {"@type": {"type": "string"}}},
    wellknown.HTTP_BODY: {},
}


class Schemas:
    """The components of one description: asking for a message or an enum enters it and all that it holds."""

    def __init__(self, descriptors: DescriptorSet) -> None:
        self._descriptors = descriptors
        self.components: dict[str, Schema] = {}

    def message(self, message: Descriptor) -> Schema:
        """The schema of a message: inline where it is well known, else a reference."""
        name = message.full_name
        if name in wellknown.WRAPPERS:
            return self._value(message.fields_by_name["value"])
        if name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[name])
        if name not in self.components:
            self.components[name] = {}  # a message may hold itself
            self.components[name] = self._object(message)
        return _reference(name)

    def patch(self, message: Descriptor) -> Schema:
        """The schema of a message in a PATCH body, where nothing is required."""
        name = f"{message.full_name}{PATCH_SUFFIX}"
        if name not in self.components:
            self.message(message)
            whole = self.components[message.full_name]
            self.components[name] = {key: value for key, value in whole.items() if key != "required"}
        return _reference(name)

    def field(self, field: FieldDescriptor) -> Schema:
        """The schema of a field with its rules and what its comment says."""
        if is_map(field):
            value = message_of(field).fields_by_name["value"]
            schema: Schema = {"type": "object", "additionalProperties": self._value(value)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._value(field)}
        else:
            schema = self._value(field)
        return {**constrained(schema, field), **self._annotations(field)}

    def _value(self, field: FieldDescriptor) -> Schema:
        if field.type == F.TYPE_ENUM:
            return self._enum(enum_of(field))
        return self.message(message_of(field)) if field.message_type is not None else dict(_SCALARS[field.type])

    def _object(self, message: Descriptor) -> Schema:
        schema: Schema = {
            "type": "object",
            **self._description(message.full_name),
            "properties": {field.json_name: self.field(field) for field in message.fields},
        }
        required = [field.json_name for field in message.fields if is_demanded(field)]
        if required:
            schema["required"] = required
        exclusive = [oneof for oneof in message.oneofs if len(oneof.fields) > 1]
        if exclusive:
            schema["allOf"] = [_at_most_one([field.json_name for field in oneof.fields]) for oneof in exclusive]
        return schema

    def _enum(self, enum: EnumDescriptor) -> Schema:
        name = enum.full_name
        if name not in self.components:
            lines = [self._descriptors.comment(name), *self._value_lines(enum)]
            text = "\n".join(line for line in lines if line)
            self.components[name] = {"type": "string", "enum": [value.name for value in enum.values]}
            if text:
                self.components[name]["description"] = text
        return _reference(name)

    def _value_lines(self, enum: EnumDescriptor) -> list[str]:
        # protobuf scopes an enum's values beside the enum, but its comments are found below it.
        comments = {value.name: self._descriptors.comment(f"{enum.full_name}.{value.name}") for value in enum.values}
        return [f"- `{name}`: {text}" for name, text in comments.items() if text]

    def _annotations(self, field: FieldDescriptor) -> Schema:
        found = behaviors(field)
        annotations: Schema = self._description(field.full_name)
        if found & {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}:
            annotations["readOnly"] = True
        if field_behavior_pb2.INPUT_ONLY in found and field.has_presence:  # an answer has all others, empty
            annotations["writeOnly"] = True
        return annotations

    def _description(self, name: str) -> Schema:
        comment = plain(self._descriptors.comment(name))
        return {"description": comment} if comment else {}


def is_demanded(field: FieldDescriptor) -> bool:
    """Whether a request must give the field."""
    return field_behavior_pb2.REQUIRED in behaviors(field) or is_required(field)


def plain(comment: str) -> str:
    """A comment without the space that follows its slashes."""
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.splitlines())


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _at_most_one(names: list[str]) -> Schema:
    return {
        "oneOf": [*({"required": [name]} for name in names), {"not": {"anyOf": [{"required": [n]} for n in names]}}]
    }
