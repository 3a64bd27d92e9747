"""Field masks derived from PATCH bodies: what the caller wrote down is what changes."""

from collections.abc import Collection, Iterator, Mapping

from google.api import field_behavior_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from libs.transcoding.fields import behaviors, message_of
from libs.transcoding.wellknown import FIELD_MASK, has_own_form

_NOT_FOR_CALLERS = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}
_PRECONDITION = "etag"  # AIP-154: guards the change, is not part of it


def mask_field(request: Descriptor) -> FieldDescriptor | None:
    """The one field mask of a request message; None when it has none, or several."""
    found = [field for field in request.fields if _is_mask(field)]
    return found[0] if len(found) == 1 else None


class BodyMask:
    """Derives masks from the bodies of one message type. What a type offers is looked up once.

    Singular messages with fields are looked into, all else is a leaf. `bound` are paths that the URL gives; they,
    `etag` and what callers cannot set are left out.
    """

    def __init__(self, message: Descriptor, *, bound: Collection[str]) -> None:
        self._message = message
        self._bound = frozenset(bound)
        self._fields: dict[str, dict[str, FieldDescriptor]] = {}

    def paths(self, body: Mapping[str, object]) -> Iterator[str]:
        """The paths, in proto spelling, of what a body gives; null counts as given, for it clears the field."""
        return self._paths(body, self._message, prefix="")

    def _paths(self, body: Mapping[str, object], message: Descriptor, *, prefix: str) -> Iterator[str]:
        fields = self._fields_of(message)
        for key, value in body.items():
            field = fields.get(key)
            if field is None or (not prefix and field.name == _PRECONDITION):
                continue
            path = f"{prefix}{field.name}"
            if isinstance(value, dict) and _has_fields(field):
                yield from self._paths(value, message_of(field), prefix=f"{path}.")
            elif path not in self._bound:
                yield path

    def _fields_of(self, message: Descriptor) -> dict[str, FieldDescriptor]:
        """What callers can change, under both spellings."""
        known = self._fields.get(message.full_name)
        if known is None:
            changed = [field for field in message.fields if not behaviors(field) & _NOT_FOR_CALLERS]
            known = {name: field for field in changed for name in (field.name, field.json_name)}
            self._fields[message.full_name] = known
        return known


def _has_fields(field: FieldDescriptor) -> bool:
    if field.is_repeated or field.message_type is None:
        return False
    return bool(field.message_type.fields) and not has_own_form(field.message_type)


def _is_mask(field: FieldDescriptor) -> bool:
    return not field.is_repeated and field.message_type is not None and field.message_type.full_name == FIELD_MASK
