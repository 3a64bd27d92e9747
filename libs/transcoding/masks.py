"""Field masks derived from PATCH bodies: what the caller wrote down is what changes."""

from collections.abc import Collection, Iterator, Mapping

from google.api import field_behavior_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from libs.transcoding.fields import behaviors, field_called, message_of
from libs.transcoding.wellknown import ANY, DECODERS, FIELD_MASK, WRAPPERS

_NOT_FOR_CALLERS = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}
_PRECONDITION = "etag"  # AIP-154: guards the change, is not part of it


def mask_field(request: Descriptor) -> FieldDescriptor | None:
    """The one field mask of a request message; None when it has none, or several."""
    found = [field for field in request.fields if _is_mask(field)]
    return found[0] if len(found) == 1 else None


def derive(body: Mapping[str, object], message: Descriptor, *, bound: Collection[str]) -> Iterator[str]:
    """The paths, in proto spelling, of what a body gives; null counts as given, for it clears the field.

    Singular messages with fields are looked into, all else is a leaf. `bound` are paths that the URL gives; they,
    `etag` and what callers cannot set are left out.
    """
    yield from _derive(body, message, bound=bound, prefix="")


def _derive(body: Mapping[str, object], message: Descriptor, *, bound: Collection[str], prefix: str) -> Iterator[str]:
    for key, value in body.items():
        field = field_called(message, key)
        if field is None or not _is_changed_by_callers(field, prefix):
            continue
        path = f"{prefix}{field.name}"
        if isinstance(value, dict) and _has_fields(field):
            yield from _derive(value, message_of(field), bound=bound, prefix=f"{path}.")
        elif path not in bound:
            yield path


def _is_changed_by_callers(field: FieldDescriptor, prefix: str) -> bool:
    return not behaviors(field) & _NOT_FOR_CALLERS and (bool(prefix) or field.name != _PRECONDITION)


def _has_fields(field: FieldDescriptor) -> bool:
    if field.is_repeated or field.message_type is None or not field.message_type.fields:
        return False
    name = field.message_type.full_name
    return name not in DECODERS and name not in WRAPPERS and name != ANY


def _is_mask(field: FieldDescriptor) -> bool:
    return not field.is_repeated and field.message_type is not None and field.message_type.full_name == FIELD_MASK
