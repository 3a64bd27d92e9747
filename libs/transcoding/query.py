"""Query strings into request messages: dotted paths in either spelling, nothing unknown, nothing twice.

An empty number, boolean or enum is one that was left out: `pageSize=`, as a form sends a field that nobody filled in.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from libs.transcoding import scalars, wellknown
from libs.transcoding.faults import Fault
from libs.transcoding.fields import json_path

MAX_PARAMETERS = 1000

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAY_BE_EMPTY = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES, FieldDescriptor.TYPE_MESSAGE)
_TEXTUAL = {"google.protobuf.Timestamp", "google.protobuf.Duration", wellknown.FIELD_MASK}

# Any: the fields of a message class that is only known at run time.
_Put = Callable[[Any, str], None]


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A field as a step of a parameter's name. `put` is None when no text can set it, `inner` when nothing follows."""

    name: str
    put: _Put | None
    inner: Descriptor | None
    oneof: str
    is_repeated: bool


class Query:
    """What the query sets in one request message. What a message type offers is looked up once.

    `taken` are the paths of fields that the URL's path or the body gives: they cannot be given again, nor what lies in
    them or shares a oneof with them.
    """

    def __init__(self, message: Descriptor, *, taken: Collection[str]) -> None:
        self._message = message
        self._types: dict[str, dict[str, _Parameter]] = {}
        self._taken = frozenset(taken)
        self._chosen = dict(choice for path in self._taken for choice in choices(message, path))

    def read(self, query_string: str, message: Message) -> set[str]:
        """Set the fields that parameters name; returns their paths in proto spelling. Raises Fault."""
        seen: set[str] = set()
        chosen = dict(self._chosen)
        for name, value in parameters(query_string):
            steps = self._steps(name)
            try:
                seen.add(self._admit(steps, seen, chosen))
                _set(message, steps, value)
            except Fault as fault:
                raise fault.inside(name) from None
        return seen

    def _admit(self, steps: Sequence[_Parameter], seen: set[str], chosen: dict[str, str]) -> str:
        """The path of a parameter. Raises Fault when something else gives it, or its oneof."""
        path = ".".join([step.name for step in steps])
        if path in self._taken or steps[0].name in self._taken:
            raise Fault("cannot be given in the query: the path or the body gives it")
        if path in seen and not steps[-1].is_repeated:
            raise Fault("is given twice", reason="DUPLICATE_FIELD")
        for slot, choice in _choices([(step.name, step.oneof) for step in steps]):
            if (other := chosen.setdefault(slot, choice)) != choice:
                raise Fault(f"cannot be given together with {json_path(other)}", reason="DUPLICATE_FIELD")
        return path

    def _steps(self, name: str) -> list[_Parameter]:
        steps: list[_Parameter] = []
        message: Descriptor | None = self._message
        for step in name.split(".", wellknown.MAX_STEPS):
            parameter = None if message is None else self._parameters_of(message).get(step)
            if parameter is None:
                raise Fault("is not a parameter that exists here", reason="UNKNOWN_FIELD", path=name)
            steps.append(parameter)
            message = parameter.inner
        return steps

    def _parameters_of(self, message: Descriptor) -> dict[str, _Parameter]:
        known = self._types.get(message.full_name)
        if known is None:
            known = {}
            for field in message.fields:
                known[field.json_name] = known[field.name] = _parameter(field)
            self._types[message.full_name] = known
        return known


def is_settable(field: FieldDescriptor) -> bool:
    """Whether a query parameter can set this field."""
    if field.message_type is None:
        return True
    name = field.message_type.full_name
    return not field.is_repeated and (name in _TEXTUAL or name in wellknown.WRAPPERS)


def is_enterable(field: FieldDescriptor) -> bool:
    """Whether query parameters can set the fields of this field."""
    return field.message_type is not None and not field.is_repeated and not wellknown.has_own_form(field.message_type)


def choices(message: Descriptor, path: str) -> Iterator[tuple[str, str]]:
    """The oneofs that a field at a path of proto names decides, each with the path of its choice."""
    steps: list[tuple[str, str]] = []
    for step in path.split("."):
        field = message.fields_by_name[step]
        steps.append((field.name, _oneof(field)))
        message = field.message_type or message
    return _choices(steps)


def _choices(steps: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    prefix = ""
    for name, oneof in steps:
        if oneof:
            yield f"{prefix}{oneof}", f"{prefix}{name}"
        prefix = f"{prefix}{name}."


def _oneof(field: FieldDescriptor) -> str:
    return field.containing_oneof.name if field.containing_oneof is not None else ""


def _parameter(field: FieldDescriptor) -> _Parameter:
    return _Parameter(
        name=field.name,
        put=_putter(field) if is_settable(field) else None,
        inner=field.message_type if is_enterable(field) else None,
        oneof=_oneof(field),
        is_repeated=field.is_repeated,
    )


def _set(message: Any, steps: Sequence[_Parameter], value: str) -> None:
    *outer, last = steps
    if last.put is None:
        raise Fault("cannot be given in the query", reason="UNKNOWN_FIELD")
    for step in outer:
        message = getattr(message, step.name)
    last.put(message, value)


def _putter(field: FieldDescriptor) -> _Put:
    if field.message_type is not None:
        return _boxed(field.name, field.message_type)
    name, convert = field.name, scalars.from_text(field)
    if field.is_repeated:
        put: _Put = lambda message, text: getattr(message, name).append(convert(text))  # noqa: E731 - as its twin below
    else:
        put = lambda message, text: setattr(message, name, convert(text))  # noqa: E731 - one line says it
    if field.type in _MAY_BE_EMPTY:
        return put
    return lambda message, text: put(message, text) if text else None


def _boxed(name: str, box: Descriptor) -> _Put:
    decode = wellknown.DECODERS.get(box.full_name)
    convert = None if decode is not None else scalars.from_text(box.fields_by_name["value"])

    def put(message: Any, text: str) -> None:
        inner = getattr(message, name)
        inner.SetInParent()
        if decode is not None:
            decode(text, inner)
        elif convert is not None:
            inner.value = convert(text)

    return put


def parameters(query_string: str) -> Iterator[tuple[str, str]]:
    """The parameters of a query string in their order, decoded; raises Fault for what cannot be."""
    pieces = [piece for piece in query_string.split("&") if piece]
    if len(pieces) > MAX_PARAMETERS:
        raise Fault(f"has more than {MAX_PARAMETERS} parameters")
    for piece in pieces:
        key, _, value = piece.partition("=")
        name = _decode(key, shown=key)
        yield name, _decode(value, shown=name)


def _decode(text: str, *, shown: str) -> str:
    if "%" not in text:
        return text.replace("+", " ")
    if _BAD_ESCAPE.search(text):
        raise Fault("holds a % that is not followed by two hexadecimal digits", path=shown)
    try:
        return unquote_to_bytes(text.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        raise Fault("is not UTF-8", path=shown) from error
