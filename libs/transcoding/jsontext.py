"""JSON texts read strictly (RFC 8259, I-JSON): UTF-8, no key twice, no NaN, no depth that could hurt."""

import json
from collections.abc import Sequence

import orjson

from libs.transcoding.faults import Fault

MAX_DEPTH = 100  # objects and arrays within each other, as protobuf's own JSON reader allows
_PRINTED_DEPTH = 254  # what orjson prints at most
_TWIN = object()  # stands for the value of a key that came twice


def loads(text: bytes) -> object:
    """The value of a JSON text. Raises Fault: for a key that comes twice, with its path."""
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _malformed(text, error) from error
    if _may_be_deep(text):
        _refuse_depth(value)
    if not _has_no_twins(text, orjson.dumps(value)):
        _refuse_twins(text.decode())
    return value


def dumps(value: object) -> bytes:
    """The JSON text of a value, without spaces."""
    return orjson.dumps(value)


def _malformed(text: bytes, error: orjson.JSONDecodeError) -> Fault:
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return Fault(f"is not UTF-8 at byte {wrong.start}", reason="MALFORMED_JSON")
    if "depth" in error.msg:
        return _too_deep()
    where = f"line {error.lineno} column {error.colno}"
    return Fault(f"is not JSON: {error.msg.rstrip('.')} at {where}", reason="MALFORMED_JSON")


def _may_be_deep(text: bytes) -> bool:
    """Whether it has as many brackets as it takes. To look for them one by one is faster than to count few of them."""
    seen = 0
    for bracket in (b"{", b"["):
        place = text.find(bracket)
        while place >= 0 and seen <= MAX_DEPTH:
            seen += 1
            place = text.find(bracket, place + 1)
    return seen > MAX_DEPTH


def _refuse_depth(value: object) -> None:
    """orjson prints no deeper than it says: within as many lists as that leaves, the value must not be too deep."""
    for _ in range(_PRINTED_DEPTH - MAX_DEPTH):
        value = [value]
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise _too_deep() from error


def _too_deep() -> Fault:
    return Fault(f"is nested deeper than {MAX_DEPTH} levels", reason="TOO_DEEP")


def _has_no_twins(text: bytes, printed: bytes) -> bool:
    """Whether it is certain that no key came twice, from the text that orjson makes of what it has read.

    That text has every key once. It is the same text mostly; else its colons are counted. One stands behind every key,
    and the others stand within strings, all of which it took over: with a key that it has not, it lacks a colon, too.
    Only what one text has in the form of an escape could make up for that.
    """
    return text == printed or (text.count(b":") == printed.count(b":") and rb"\u003" not in text)


def _refuse_twins(text: str) -> None:
    """orjson keeps the last of two equal keys in silence; the standard library shows both."""
    try:
        _UNIQUE.decode(text)
    except _TwinFound:
        _name_twin(_MARKING.decode(text))


class _TwinFound(Exception):
    pass


def _unique(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwinFound
    return found


def _marked(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        found[key] = _TWIN if key in found else value
    return found


def _name_twin(value: object) -> None:
    if value is _TWIN:
        raise Fault("is given twice", reason="DUPLICATE_FIELD")
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in steps:
        try:
            _name_twin(item)
        except Fault as fault:
            raise fault.inside(step if isinstance(step, str) else f"[{step}]") from None


# An integer may have more digits than Python likes to convert, and nobody looks at it here.
_UNIQUE = json.JSONDecoder(object_pairs_hook=_unique, parse_int=str)
_MARKING = json.JSONDecoder(object_pairs_hook=_marked, parse_int=str)
