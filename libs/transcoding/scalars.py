"""JSON values and query texts for scalar fields: a strict grammar, and texts that say what was expected."""

import binascii
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from libs.transcoding.faults import Fault
from libs.transcoding.fields import enum_of

# Any: the value of a protobuf field may be of every scalar type.
Convert = Callable[[object], Any]

NULL_VALUE = "google.protobuf.NullValue"
FLOAT_LIMIT = 3.4028235677973366e38  # from here on a number rounds to infinity in 32 bits

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII)
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]*|[A-Za-z0-9_-]*)={0,2}", re.ASCII)
_SPECIAL_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_URL_SAFE = str.maketrans("-_", "+/")
_SHOWN_NAMES = 20  # of an enum, in an error text

F = FieldDescriptor
_RANGES = {
    **dict.fromkeys((F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32), (-(1 << 31), (1 << 31) - 1)),
    **dict.fromkeys((F.TYPE_UINT32, F.TYPE_FIXED32), (0, (1 << 32) - 1)),
    **dict.fromkeys((F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64), (-(1 << 63), (1 << 63) - 1)),
    **dict.fromkeys((F.TYPE_UINT64, F.TYPE_FIXED64), (0, (1 << 64) - 1)),
}

INTEGERS = frozenset(_RANGES)  # types of fields


def from_json(field: FieldDescriptor) -> Convert:
    """What turns a JSON value into a value of this scalar or enum field; it raises Fault."""
    if field.type in _RANGES:
        return _integer(*_RANGES[field.type])
    if field.type == F.TYPE_ENUM:
        return _enum(enum_of(field))
    return _CONVERTERS[field.type]


def from_text(field: FieldDescriptor) -> Convert:
    """What turns the text of a query parameter or path variable into a value of this field; it raises Fault."""
    if field.type == F.TYPE_BOOL:
        return text_boolean
    if field.type == F.TYPE_ENUM:
        return _text_enum(enum_of(field))
    return from_json(field)


def map_key(field: FieldDescriptor) -> Convert:
    """What turns a JSON object's key into a key of a map field; it raises Fault."""
    return _key_boolean if field.type == F.TYPE_BOOL else from_json(field)


def boolean(value: object) -> bool:
    """`true` or `false`."""
    if value is True or value is False:
        return value
    raise Fault("must be true or false", reason="WRONG_TYPE")


def text_boolean(value: object) -> bool:
    """`true` or `false` in whatever case: Google's client for Python writes `True` into URLs."""
    text = value.lower() if isinstance(value, str) else value
    if text in ("true", "false"):
        return text == "true"
    raise Fault("must be true or false", reason="WRONG_TYPE")


def string(value: object) -> str:
    """A text."""
    if isinstance(value, str):
        return value
    raise Fault("must be a string", reason="WRONG_TYPE")


def binary(value: object) -> bytes:
    """Base64, of the standard or the URL-safe alphabet, padded or not."""
    if not isinstance(value, str):
        raise Fault("must be a string of base64", reason="WRONG_TYPE")
    if len(value) % 4 == 0 and value[-3:-2] != "=":  # what strict mode does not look at
        try:
            return binascii.a2b_base64(value, strict_mode=True)
        except ValueError:  # not the standard alphabet, or wrong
            pass
    return _lenient_base64(value)


def double(value: object) -> float:
    """A number, also as a text; `NaN` and the infinities only as texts."""
    if type(value) is float or type(value) is int:
        return float(value)
    if isinstance(value, str):
        if value in _SPECIAL_NUMBERS:
            return _SPECIAL_NUMBERS[value]
        if _NUMBER.fullmatch(value) and math.isfinite(number := float(value)):
            return number
    raise Fault("must be a number", reason="WRONG_TYPE")


def single(value: object) -> float:
    """A number that a float of 32 bits can hold."""
    number = double(value)
    if math.isfinite(number) and abs(number) >= FLOAT_LIMIT:
        raise Fault("must be a number that fits into 32 bits", reason="OUT_OF_RANGE")
    return number


def _lenient_base64(value: str) -> bytes:
    bare = value.rstrip("=")
    if not _BASE64.fullmatch(value) or len(bare) % 4 == 1 or (len(bare) != len(value) and len(value) % 4):
        raise Fault("must be base64")
    return binascii.a2b_base64(bare.translate(_URL_SAFE) + "=" * (-len(bare) % 4))


def _integer(low: int, high: int) -> Convert:
    def convert(value: object) -> int:
        number = value if type(value) is int else _whole(value)
        if low <= number <= high:
            return number
        raise Fault(f"must be an integer from {low} to {high}", reason="OUT_OF_RANGE")

    return convert


def _whole(value: object) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    # orjson reads what needs more than 64 bits as a float: such a number has lost its digits and is out of every range.
    if isinstance(value, float) and value.is_integer():
        return int(value) if abs(value) < 2**63 else 1 << 65
    raise Fault("must be an integer", reason="WRONG_TYPE")


def _enum(enum: EnumDescriptor) -> Convert:
    numbers = {value.name: value.number for value in enum.values}
    known = frozenset(numbers.values())
    names = ", ".join([*numbers][:_SHOWN_NAMES]) + (", …" if len(numbers) > _SHOWN_NAMES else "")

    def convert(value: object) -> int:
        if isinstance(value, str) and value in numbers:
            return numbers[value]
        if type(value) is int and value in known:
            return value
        raise Fault(f"must be one of {names}", reason="UNKNOWN_NAME")

    if enum.full_name == NULL_VALUE:
        return lambda value: 0 if value is None else convert(value)
    return convert


def _text_enum(enum: EnumDescriptor) -> Convert:
    convert = _enum(enum)
    return lambda value: convert(int(value) if isinstance(value, str) and _INTEGER.fullmatch(value) else value)


def _key_boolean(value: object) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise Fault('must be "true" or "false"', reason="WRONG_TYPE")


_CONVERTERS: dict[int, Convert] = {
    F.TYPE_BOOL: boolean,
    F.TYPE_STRING: string,
    F.TYPE_BYTES: binary,
    F.TYPE_DOUBLE: double,
    F.TYPE_FLOAT: single,
}
