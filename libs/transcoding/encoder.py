"""Messages into JSON values, by one generated function per message type (ADR 0024)."""

import math
import struct
from binascii import b2a_base64
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from libs.transcoding import scalars, wellknown
from libs.transcoding.descriptors import DescriptorSet, message_class
from libs.transcoding.fields import enum_of, is_map, message_of, type_of
from libs.transcoding.source import Namespace, getter

F = FieldDescriptor
_AS_TEXT = frozenset((F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64, F.TYPE_UINT64, F.TYPE_FIXED64))


class Encoder:
    """Prints messages as JSON values: lowerCamelCase, every field without presence, 64 bits as strings."""

    def __init__(self, descriptors: DescriptorSet) -> None:
        self._descriptors = descriptors
        self._space = Namespace()
        self._printers: dict[str, str] = {}

    def encode(self, message: Message) -> object:
        """The JSON value of a message. Raises ValueError when it holds what JSON cannot say."""
        return self.of(type_of(message))(message)

    def of(self, descriptor: Descriptor) -> wellknown.Encode:
        """The compiled printer of a message type."""
        encode: wellknown.Encode = self._space[self._printer(descriptor)]
        return encode

    def _printer(self, descriptor: Descriptor) -> str:
        """The name of the function."""
        name = self._printers.get(descriptor.full_name)
        if name is None:
            # A message may hold itself: named before its fields are looked at.
            name = self._printers[descriptor.full_name] = self._space.reserve()
            if descriptor.full_name == wellknown.ANY:
                self._space[name] = self._any
            elif descriptor.full_name in wellknown.ENCODERS:
                self._space[name] = wellknown.ENCODERS[descriptor.full_name]
            else:
                self._space.define(name, ["message"], self._body(descriptor))
        return name

    def _body(self, descriptor: Descriptor) -> Iterator[str]:
        if descriptor.full_name in wellknown.WRAPPERS:
            yield f"return {self._value(descriptor.fields_by_name['value'], 'message.value')}"
            return
        yield "has = message.HasField"
        yield f"printed = {{{', '.join(self._first(descriptor))}}}"
        for field in descriptor.fields[len(self._first(descriptor)) :]:
            yield from self._field(field)
        yield "return printed"

    def _first(self, descriptor: Descriptor) -> list[str]:
        """What is always printed and stands before what is not: one literal is the fastest."""
        always = takewhile(lambda field: not field.has_presence, descriptor.fields)
        return [f"{field.json_name!r}: {self._printed(field)}" for field in always]

    def _field(self, field: FieldDescriptor) -> Iterator[str]:
        when = f"if has({field.name!r}): " if field.has_presence else ""
        yield f"{when}printed[{field.json_name!r}] = {self._printed(field)}"

    def _printed(self, field: FieldDescriptor) -> str:
        """The expression for what a field of `message` holds."""
        held = getter("message", field.name)
        if is_map(field):
            key, value = (message_of(field).fields_by_name[name] for name in ("key", "value"))
            entries = f"{{{_key(key)}: {self._value(value, 'held[key]')} for key in held}}"
            return f"{entries} if (held := {held}) else {{}}"
        if field.is_repeated:
            # A slice is a list, made in half the time that list() takes.
            items = self._value(field, "item")
            return f"{held}[:]" if items == "item" else f"[{items} for item in held[:]] if (held := {held}) else []"
        return self._value(field, held)

    def _value(self, field: FieldDescriptor, value: str) -> str:
        """The expression for the JSON form of a value of the field, given as an expression."""
        if field.message_type is not None:
            return f"{self._printer(message_of(field))}({value})"
        if field.type in _AS_TEXT:
            return f'f"{{{value}}}"'
        if field.type == F.TYPE_ENUM:
            return f"{self._space.name(_names(enum_of(field)))}[{value}]"
        if field.type == F.TYPE_BYTES:
            return f"{self._space.name(b2a_base64)}({value}, newline=False).decode()"
        convert = _CONVERTERS.get(field.type)
        return value if convert is None else f"{self._space.name(convert)}({value})"

    def _any(self, message: Any) -> object:
        if not message.type_url:
            return {}
        inner = self._unpacked(message)
        printed = self.encode(inner)
        if wellknown.is_free_form(inner) or inner.DESCRIPTOR.full_name == wellknown.ANY:
            return {"@type": message.type_url, "value": printed}
        assert isinstance(printed, dict)
        return {"@type": message.type_url, **printed}

    def _unpacked(self, message: Any) -> Message:
        try:
            descriptor = self._descriptors.pool.FindMessageTypeByName(message.type_url.rpartition("/")[2])
            return message_class(descriptor).FromString(message.value)
        except (KeyError, DecodeError) as error:
            raise ValueError(f"an Any holds {message.type_url}, which cannot be read") from error


class _Names(dict[int, object]):
    """The names of an enum's values; a number that has none stands for itself."""

    def __missing__(self, number: int) -> object:
        return number


class _Null(dict[int, object]):
    """The one value of NullValue, whatever its number."""

    def __missing__(self, number: int) -> object:
        return None


def _names(enum: EnumDescriptor) -> dict[int, object]:
    if enum.full_name == scalars.NULL_VALUE:
        return _Null()
    # The first name of a number is its name.
    return _Names({value.number: value.name for value in reversed(enum.values)})


def _key(field: FieldDescriptor) -> str:
    if field.type == F.TYPE_BOOL:
        return "('true' if key else 'false')"
    return "key" if field.type == F.TYPE_STRING else 'f"{key}"'


def _double(value: float) -> object:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _single(value: float) -> object:
    """The shortest number that is this one in 32 bits: 0.1 and not 0.10000000149011612."""
    if not math.isfinite(value):
        return _double(value)
    for digits in _DIGITS:
        short = float(f"{value:.{digits}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == value:
            return short
    return value


_CONVERTERS: dict[int, Callable[[Any], object]] = {F.TYPE_DOUBLE: _double, F.TYPE_FLOAT: _single}
_DIGITS: Sequence[int] = (6, 7, 8, 9)
