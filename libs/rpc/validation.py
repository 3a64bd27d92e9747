"""Requests against the rules of their protos: protovalidate's, and REQUIRED of google.api.field_behavior.

One rule holds for all: no text has a NUL, which PostgreSQL cannot store. Maps are exempt: they hold what others sent.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from google.api import field_behavior_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from protovalidate import Validator

from libs.errors import InvalidArgument, Violation

_REQUIRED = field_behavior_pb2.REQUIRED
_OUTPUT_ONLY = field_behavior_pb2.OUTPUT_ONLY


class ValidationFailed(InvalidArgument):
    """The request breaks rules of its proto: `violations` says which."""

    reason = "VALIDATION_FAILED"


class RequestValidator:
    """Checks requests. One a process: the rules of a type are compiled once."""

    def __init__(self) -> None:
        self._validator = Validator()
        self._required: dict[str, _Required] = {}

    def warm(self, kinds: Iterable[type[Message]]) -> None:
        """Compiles the rules of these types now; raises CompilationError where one is wrong."""
        for kind in kinds:
            self._violations(kind())

    def check(self, request: Message) -> None:
        """Raises ValidationFailed with every violation."""
        violations = self._violations(request)
        if violations:
            first, more = violations[0], len(violations) - 1
            what = f"{first.field}: {first.description}" if first.field else first.description
            raise ValidationFailed(what + (f" (and {more} more)" if more else ""), violations=violations)

    def _violations(self, request: Message) -> list[Violation]:
        missing = list(self._requirements(request.DESCRIPTOR).missing(request, ""))
        named = {violation.field for violation in missing}
        broken = [_from_rule(found.proto) for found in self._validator.collect_violations(request)]
        found = missing + [violation for violation in broken if violation.field not in named]
        named = {violation.field for violation in found}
        return found + [violation for violation in _with_nul(request, "") if violation.field not in named]

    def _requirements(self, message: Any) -> "_Required":
        found = self._required.get(message.full_name)
        if found is None:
            found = self._required[message.full_name] = _Required.of(message, self._required)
        return found


@dataclass(slots=True)
class _Required:
    """Which fields of a message are required, and where below it there may be more."""

    fields: list[FieldDescriptor]
    below: list[tuple[FieldDescriptor, "_Required"]]

    @classmethod
    def of(cls, message: Descriptor, known: dict[str, "_Required"]) -> "_Required":
        """Of a request or a message inside one. An update names what it changes, so nothing below it is required."""
        found = known[message.full_name] = cls([], [])  # known before it is whole: messages may contain themselves
        partial = any(_is_message(field, FieldMask.DESCRIPTOR.full_name) for field in message.fields)
        for field in message.fields:
            behavior = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
            if _REQUIRED in behavior:
                found.fields.append(field)
            if field.message_type and not partial and _OUTPUT_ONLY not in behavior and not _is_map(field):
                inside = known.get(field.message_type.full_name) or cls.of(field.message_type, known)
                found.below.append((field, inside))
        return found

    def missing(self, message: Message, path: str) -> Iterator[Violation]:
        """What is required and not there; `path` is where `message` is, with a dot behind it."""
        for field in self.fields:
            if not _is_set(message, field):
                yield Violation(field=path + field.name, description="value is required", reason="required")
        for field, inside in self.below:
            for step, part in _parts(message, field):
                yield from inside.missing(part, f"{path}{step}.")


def _is_message(field: FieldDescriptor, name: str) -> bool:
    return field.message_type is not None and field.message_type.full_name == name


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _is_set(message: Message, field: FieldDescriptor) -> bool:
    return message.HasField(field.name) if field.has_presence else bool(getattr(message, field.name))


def _parts(message: Message, field: FieldDescriptor) -> Iterator[tuple[str, Message]]:
    if field.is_repeated:
        for index, part in enumerate(getattr(message, field.name)):
            yield f"{field.name}[{index}]", part
    elif message.HasField(field.name):
        yield field.name, getattr(message, field.name)


def _with_nul(message: Message, path: str) -> Iterator[Violation]:
    """The texts with a NUL, in a message and below it."""
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            texts = enumerate(value) if field.is_repeated else [(None, value)]
            for index, text in texts:
                if "\0" in text:
                    where = field.name if index is None else f"{field.name}[{index}]"
                    yield Violation(field=path + where, description="must not contain a NUL", reason="string.nul")
        elif field.type == FieldDescriptor.TYPE_MESSAGE and not _is_map(field):
            for step, part in _parts(message, field):
                yield from _with_nul(part, f"{path}{step}.")


def _from_rule(found: Any) -> Violation:  # protovalidate's own message type, not a google.protobuf.Message
    steps = found.field.elements if found.field else ()  # a rule about a whole message has no path
    return Violation(field=".".join(map(_step, steps)), description=found.message, reason=found.rule_id)


def _step(element: Any) -> str:
    if element.subscript is None:
        return str(element.field_name)
    return f"{element.field_name}[{json.dumps(element.subscript.value, ensure_ascii=False)}]"
