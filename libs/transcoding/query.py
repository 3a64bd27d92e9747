"""Query strings into request messages: dotted paths in either spelling, nothing unknown, nothing twice.

An empty number, boolean or enum is one that was left out: `pageSize=`, as a form sends a field that nobody filled in.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.transcoding import scalars, wellknown
from libs.transcoding.faults import Fault
from libs.transcoding.fields import field_called, type_of

MAX_PARAMETERS = 1000

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAY_BE_EMPTY = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE)
_TEXTUAL = {"google.protobuf.Timestamp", "google.protobuf.Duration", wellknown.FIELD_MASK}


def parameters(query: str) -> Iterator[tuple[str, str]]:
    """The parameters of a query string in their order, decoded; raises Fault for what cannot be."""
    pieces = [piece for piece in query.split("&") if piece]
    if len(pieces) > MAX_PARAMETERS:
        raise Fault(f"has more than {MAX_PARAMETERS} parameters")
    for piece in pieces:
        key, _, value = piece.partition("=")
        name = _decode(key, shown=key)
        yield name, _decode(value, shown=name)


def put(message: Message, name: str, value: str, *, seen: set[str]) -> str:
    """Set the field that a parameter names; returns its path in proto spelling. Raises Fault."""
    steps = name.split(".")
    for depth, step in enumerate(steps[:-1]):
        inner = _field(type_of(message), step, name)
        if inner.message_type is None or inner.is_repeated or depth >= wellknown.MAX_STEPS:
            raise _unknown(name)
        message, steps[depth] = getattr(message, inner.name), inner.name
    field = _field(type_of(message), steps[-1], name)
    path = ".".join([*steps[:-1], field.name])
    if not field.is_repeated and path in seen:
        raise Fault("is given twice", reason="DUPLICATE_FIELD", path=name)
    seen.add(path)
    _set(message, field, name, value)
    return path


def put_text(message: Any, field: FieldDescriptor, value: str) -> None:
    """Set a singular scalar field from a text; raises Fault."""
    setattr(message, field.name, scalars.from_text(field)(value))


def is_settable(field: FieldDescriptor) -> bool:
    """Whether a query parameter can set this field."""
    if field.message_type is None:
        return True
    name = field.message_type.full_name
    return not field.is_repeated and (name in _TEXTUAL or name in wellknown.WRAPPERS)


def _set(message: Any, field: FieldDescriptor, name: str, value: str) -> None:
    if not is_settable(field):
        raise Fault("cannot be given in the query", reason="UNKNOWN_FIELD", path=name)
    if not value and field.type not in _MAY_BE_EMPTY:
        return
    try:
        if field.message_type is not None:
            _set_message(getattr(message, field.name), value)
        elif field.is_repeated:
            getattr(message, field.name).append(scalars.from_text(field)(value))
        else:
            put_text(message, field, value)
    except Fault as fault:
        raise fault.inside(name) from None


def _set_message(inner: Any, value: str) -> None:
    inner.SetInParent()
    decode = wellknown.DECODERS.get(inner.DESCRIPTOR.full_name)
    if decode is not None:
        decode(value, inner)
    else:
        put_text(inner, inner.DESCRIPTOR.fields_by_name["value"], value)


def _field(message: Descriptor, step: str, name: str) -> FieldDescriptor:
    field = field_called(message, step)
    if field is None:
        raise _unknown(name)
    return field


def _unknown(name: str) -> Fault:
    return Fault("is not a parameter that exists here", reason="UNKNOWN_FIELD", path=name)


def _decode(text: str, *, shown: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise Fault("holds a % that is not followed by two hexadecimal digits", path=shown)
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        raise Fault("is not UTF-8", path=shown) from error
