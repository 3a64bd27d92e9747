"""The well-known types that have a JSON form of their own: times, durations, masks and free-form values."""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from libs.transcoding.faults import Fault

# Any: the fields of a message class that is only known at run time.
Decode = Callable[[object, Any], None]
Encode = Callable[[Any], object]

WRAPPERS = frozenset(
    f"google.protobuf.{name}Value"
    for name in ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
)
FIELD_MASK = "google.protobuf.FieldMask"
VALUE = "google.protobuf.Value"
ANY = "google.protobuf.Any"
HTTP_BODY = "google.api.HttpBody"

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)  # RFC 3339, upper case only
_DURATION = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,9}))?s", re.ASCII)
_MASK_PATH = re.compile(r"\*|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_FIRST_SECOND, _LAST_SECOND = -62135596800, 253402300799  # of the years 1 and 9999
_EPOCH = datetime(1970, 1, 1)  # in UTC, which Timestamps count in
_DAY = 86400  # seconds
_MINUTES = tuple(f"{hour:02}:{minute:02}:" for hour in range(24) for minute in range(60))
_SECONDS = tuple(f"{second:02}" for second in range(60))
_THOUSANDTHS = tuple(f"{number:03}" for number in range(1000))
MAX_STEPS = 32  # of a dotted path in a query
_LONGEST_DURATION = 315_576_000_000  # seconds


def decode_timestamp(value: object, message: Any) -> None:
    """`2026-11-22T10:00:00.5Z`, with any offset, to the nanosecond."""
    if not isinstance(value, str):
        raise _no_time()
    if _is_plain(value):
        since = _since_epoch(value[:-1])
        message.seconds, message.nanos = since.days * _DAY + since.seconds, since.microseconds * 1000
        return
    found = _TIME.fullmatch(value)
    if found is None:
        raise _no_time()
    moment, fraction, sign, hours, minutes = found.groups()
    since = _since_epoch(moment)
    seconds = since.days * _DAY + since.seconds
    if sign:
        offset = (int(hours) * 60 + int(minutes)) * 60
        seconds += offset if sign == "-" else -offset
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        raise Fault("must lie in the years 1 to 9999", reason="OUT_OF_RANGE")
    message.seconds, message.nanos = seconds, _nanos(fraction)


def decode_duration(value: object, message: Any) -> None:
    """`1.5s`, to the nanosecond."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise Fault("must be a duration in seconds: 1.5s", reason="WRONG_TYPE")
    sign, seconds, fraction = -1 if found[1] else 1, int(found[2]), found[3]
    if seconds > _LONGEST_DURATION:
        raise Fault(f"must be at most {_LONGEST_DURATION}s", reason="OUT_OF_RANGE")
    message.seconds, message.nanos = sign * seconds, sign * _nanos(fraction)


def decode_mask(value: object, message: Any) -> None:
    """`url,rootFolder`: paths in either spelling, kept in proto spelling."""
    if not isinstance(value, str):
        raise Fault("must be a string of field paths: url,rootFolder", reason="WRONG_TYPE")
    for path in value.split(",") if value else ():
        if not _MASK_PATH.fullmatch(path):
            raise Fault(f"holds {path!r}, which is no field path")
        message.paths.append(re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", path))


def decode_struct(value: object, message: Any) -> None:
    """Any JSON object."""
    if not isinstance(value, dict):
        raise Fault("must be an object", reason="WRONG_TYPE")
    message.SetInParent()
    for key, item in value.items():
        decode_value(item, message.fields[key])


def decode_list(value: object, message: Any) -> None:
    """Any JSON array."""
    if not isinstance(value, list):
        raise Fault("must be an array", reason="WRONG_TYPE")
    message.SetInParent()
    for item in value:
        decode_value(item, message.values.add())


def decode_value(value: object, message: Any) -> None:
    """Any JSON value."""
    match value:
        case None:
            message.null_value = 0
        case bool():
            message.bool_value = value
        case str():
            message.string_value = value
        case int() | float():
            message.number_value = value
        case list():
            decode_list(value, message.list_value)
        case _:
            decode_struct(value, message.struct_value)


def encode_struct(message: Any) -> object:
    """The object that a Struct is."""
    return {key: encode_value(item) for key, item in message.fields.items()}


def encode_list(message: Any) -> object:
    """The array that a ListValue is."""
    return [encode_value(item) for item in message.values]


def encode_value(message: Any) -> object:
    """The JSON value that a Value is. Raises ValueError for a number that JSON has not."""
    match message.WhichOneof("kind"):
        case "struct_value":
            return encode_struct(message.struct_value)
        case "list_value":
            return encode_list(message.list_value)
        case "null_value" | None:
            return None
        case "number_value" if not math.isfinite(message.number_value):
            raise ValueError("a Value holds a number that JSON has not")
        case kind:
            return getattr(message, kind)


def encode_timestamp(message: Any) -> object:
    """The text of a Timestamp, with 0, 3, 6 or 9 digits after the second. Raises ValueError when it is out of range."""
    seconds, nanos = message.seconds, message.nanos
    fraction = _fraction(nanos) if nanos else ""
    return f"{_date(seconds // _DAY)}T{_MINUTES[seconds // 60 % 1440]}{_SECONDS[seconds % 60]}{fraction}Z"


def encode_text(message: Any) -> object:
    """The text of a Duration or FieldMask. Raises ValueError when it is out of range."""
    return message.ToJsonString()


def has_own_form(message: Descriptor) -> bool:
    """Whether callers write the type in a form of its own, and never name its fields."""
    return message.full_name in DECODERS or message.full_name in WRAPPERS or message.full_name == ANY


def is_free_form(message: Message) -> bool:
    """Whether the JSON form is not an object of the message's fields."""
    return message.DESCRIPTOR.full_name in DECODERS or message.DESCRIPTOR.full_name in WRAPPERS


def _no_time() -> Fault:
    return Fault("must be a time as RFC 3339 writes it: 2026-11-22T10:00:00Z", reason="WRONG_TYPE")


def _is_plain(time: str) -> bool:
    """Whether it has the form of RFC 3339 in UTC, to the second, milli- or microsecond, if ISO 8601 knows it at all."""
    marks = time[4:20:3]  # every third character from the fourth on is one
    if len(time) == 20:
        return marks == "--T::Z"
    return len(time) in (24, 27) and marks == "--T::." and time[-1] == "Z" and time[20:-1].isdecimal()


def _since_epoch(moment: str) -> timedelta:
    try:
        return datetime.fromisoformat(moment) - _EPOCH
    except ValueError as error:
        raise Fault(f"is no time: {error}") from error


@lru_cache(maxsize=1024)
def _date(day: int) -> str:
    if not _FIRST_SECOND <= day * _DAY <= _LAST_SECOND:
        raise ValueError("a Timestamp lies outside of the years 1 to 9999")
    return (_EPOCH + timedelta(day)).date().isoformat()


def _fraction(nanos: int) -> str:
    if not 0 <= nanos < 1_000_000_000:
        raise ValueError("a Timestamp has nanoseconds that are more than a second")
    micros, rest = divmod(nanos, 1000)
    if rest:
        return f".{nanos:09}"
    millis, rest = divmod(micros, 1000)
    return f".{_THOUSANDTHS[millis]}{_THOUSANDTHS[rest]}" if rest else f".{_THOUSANDTHS[millis]}"


def _nanos(fraction: str | None) -> int:
    return int(fraction.ljust(9, "0")) if fraction else 0


DECODERS: dict[str, Decode] = {
    "google.protobuf.Timestamp": decode_timestamp,
    "google.protobuf.Duration": decode_duration,
    FIELD_MASK: decode_mask,
    "google.protobuf.Struct": decode_struct,
    "google.protobuf.ListValue": decode_list,
    VALUE: decode_value,
}

ENCODERS: dict[str, Encode] = {
    "google.protobuf.Timestamp": encode_timestamp,
    "google.protobuf.Duration": encode_text,
    FIELD_MASK: encode_text,
    "google.protobuf.Struct": encode_struct,
    "google.protobuf.ListValue": encode_list,
    VALUE: encode_value,
}
