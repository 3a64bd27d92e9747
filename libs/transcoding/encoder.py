"""Messages into JSON values, by printers that are compiled once per message type."""

import math
import struct
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message

from libs.transcoding import scalars, wellknown
from libs.transcoding.descriptors import DescriptorSet, message_class
from libs.transcoding.fields import enum_of, is_map, message_of, type_of

# Any: the fields of a message class that is only known at run time.
_Print = Callable[[Any, dict[str, object]], None]
_Convert = Callable[[Any], object]

F = FieldDescriptor
_AS_TEXT = frozenset((F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64, F.TYPE_UINT64, F.TYPE_FIXED64))


class Encoder:
    """Prints messages as JSON values: lowerCamelCase, every field without presence, 64 bits as strings."""

    def __init__(self, descriptors: DescriptorSet) -> None:
        self._descriptors = descriptors
        self._compiled: dict[str, wellknown.Encode] = {}

    def encode(self, message: Message) -> object:
        """The JSON value of a message. Raises ValueError when it holds what JSON cannot say."""
        return self.of(type_of(message))(message)

    def of(self, descriptor: Descriptor) -> wellknown.Encode:
        """The compiled printer of a message type."""
        name = descriptor.full_name
        if name not in self._compiled:
            self._compiled[name] = self._special(descriptor) or self._object(descriptor)
        return self._compiled[name]

    def _special(self, descriptor: Descriptor) -> wellknown.Encode | None:
        name = descriptor.full_name
        if name in wellknown.WRAPPERS:
            convert = _scalar(descriptor.fields_by_name["value"]) or _same
            return lambda message: convert(message.value)
        return self._any if name == wellknown.ANY else wellknown.ENCODERS.get(name)

    def _object(self, descriptor: Descriptor) -> wellknown.Encode:
        printers: list[_Print] = []

        def encode(message: Any) -> object:
            printed: dict[str, object] = {}
            for put in printers:
                put(message, printed)
            return printed

        # A message may hold itself: known before its fields are looked at.
        self._compiled[descriptor.full_name] = encode
        printers.extend(self._printer(field) for field in descriptor.fields)
        return encode

    def _printer(self, field: FieldDescriptor) -> _Print:
        if is_map(field):
            return self._map(field)
        convert = self._value(field)
        if field.is_repeated:
            return _repeated(field, convert)
        return _present(field, convert) if field.has_presence else _always(field, convert)

    def _map(self, field: FieldDescriptor) -> _Print:
        name, json_name = field.name, field.json_name
        key_of = _key_of(message_of(field).fields_by_name["key"])
        convert = self._value(message_of(field).fields_by_name["value"]) or _same

        def put(message: Any, printed: dict[str, object]) -> None:
            printed[json_name] = {key_of(key): convert(value) for key, value in getattr(message, name).items()}

        return put

    def _value(self, field: FieldDescriptor) -> _Convert | None:
        return _scalar(field) if field.message_type is None else self.of(message_of(field))

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


def _always(field: FieldDescriptor, convert: _Convert | None) -> _Print:
    name, json_name = field.name, field.json_name
    if convert is None:
        return lambda message, printed: printed.__setitem__(json_name, getattr(message, name))
    return lambda message, printed: printed.__setitem__(json_name, convert(getattr(message, name)))


def _present(field: FieldDescriptor, convert: _Convert | None) -> _Print:
    name, json_name, turn = field.name, field.json_name, convert or _same

    def put(message: Any, printed: dict[str, object]) -> None:
        if message.HasField(name):
            printed[json_name] = turn(getattr(message, name))

    return put


def _repeated(field: FieldDescriptor, convert: _Convert | None) -> _Print:
    name, json_name, turn = field.name, field.json_name, convert or _same

    def put(message: Any, printed: dict[str, object]) -> None:
        printed[json_name] = [turn(item) for item in getattr(message, name)]

    return put


def _scalar(field: FieldDescriptor) -> _Convert | None:
    """What turns a value of this field into its JSON form; None when it is its JSON form already."""
    if field.type in _AS_TEXT:
        return str
    if field.type == F.TYPE_ENUM:
        return _enum(enum_of(field))
    return _CONVERTERS.get(field.type)


def _enum(enum: EnumDescriptor) -> _Convert:
    if enum.full_name == scalars.NULL_VALUE:
        return lambda number: None
    names: dict[int, str] = {}
    for value in enum.values:
        names.setdefault(value.number, value.name)
    return lambda number: names.get(number, number)


def _key_of(field: FieldDescriptor) -> Callable[[Any], str]:
    return (lambda key: "true" if key else "false") if field.type == F.TYPE_BOOL else str


def _base64(value: bytes) -> str:
    return b2a_base64(value, newline=False).decode("ascii")


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


def _same(value: object) -> object:
    return value


_CONVERTERS: dict[int, _Convert] = {F.TYPE_BYTES: _base64, F.TYPE_DOUBLE: _double, F.TYPE_FLOAT: _single}
_DIGITS: Sequence[int] = (6, 7, 8, 9)
