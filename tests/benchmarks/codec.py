"""What a message costs between JSON and protobuf: ours, a mapping written by hand with msgspec, protobuf's own.

Bytes to message and message to bytes. All take turns in one process, and the fastest turn of each counts: whatever
made another slower was not its own work.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.resources import files
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from libs.transcoding import jsontext
from libs.transcoding.decoder import Decoder
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.encoder import Encoder
from libs.transcoding.fields import type_of
from tests.benchmarks import codec_by_hand as by_hand
from tests.benchmarks.codec_messages import event, page

_TURNS = 20
_TURN = 0.02  # seconds

_Work = Callable[[], object]
# What is measured of one message: names of ways, ours first, and what each does.
_Reads = dict[str, Callable[[], Message]]
_Prints = dict[str, Callable[[], bytes]]

_DESCRIPTORS = DescriptorSet((files("lockgroove") / "descriptors.binpb").read_bytes())
_DECODER, _ENCODER = Decoder(_DESCRIPTORS), Encoder(_DESCRIPTORS)


async def measure() -> str:
    """The table: microseconds, and how often ours would have been done meanwhile."""
    inbox, listing = event(), page(50)
    rows = [
        _row("an event of 19 fields", "in", _text(inbox), _reading(inbox, by_hand.read_event)),
        _row("an event of 19 fields", "out", _text(inbox), _printing(inbox, by_hand.print_event)),
        _row("a page of 50 acquisitions", "in", _text(listing), _reading(listing, by_hand.read_page)),
        _row("a page of 50 acquisitions", "out", _text(listing), _printing(listing, by_hand.print_page)),
    ]
    head = "| message | JSON, bytes | way | ours, µs | by hand, µs | `json_format` on text, µs | with orjson, µs |"
    return "\n".join([head, "| --- | --- | --- | --- | --- | --- | --- |", *rows]) + "\n"


def _row(name: str, way: str, text: bytes, ways: _Reads | _Prints) -> str:
    ours, *others = _fastest([*ways.values()])
    cells = [f"{1e6 * ours:.1f}", *(f"{1e6 * other:.1f} ({other / ours:.1f}×)" for other in others)]
    return f"| {name} | {len(text)} | {way} | {' | '.join(cells)} |"


def _reading(message: Message, read_by_hand: Callable[[bytes], Message]) -> _Reads:
    text, kind = _text(message), type(message)
    ways: _Reads = {
        "ours": partial(_read, text, kind),
        "by hand": partial(read_by_hand, text),
        "text": lambda: json_format.Parse(text, kind()),
        "dict": lambda: json_format.ParseDict(orjson.loads(text), kind()),
    }
    assert all(read() == message for read in ways.values())
    return ways


def _printing(message: Message, print_by_hand: Callable[[Any], bytes]) -> _Prints:
    ways: _Prints = {
        "ours": lambda: _text(message),
        "by hand": partial(print_by_hand, message),
        "text": lambda: json_format.MessageToJson(
            message, indent=None, always_print_fields_with_no_presence=True
        ).encode(),
        "dict": lambda: orjson.dumps(json_format.MessageToDict(message, always_print_fields_with_no_presence=True)),
    }
    assert all(json_format.Parse(print_(), type(message)()) == message for print_ in ways.values())
    return ways


def _read(text: bytes, kind: type[Message]) -> Message:
    message = kind()
    _DECODER.decode(jsontext.loads(text), message)
    return message


def _text(message: Message) -> bytes:
    return jsontext.dumps(_ENCODER.of(type_of(message))(message))


def _fastest(works: Sequence[_Work]) -> list[float]:
    """Seconds of each: of its fastest turn."""
    counts = [_count(work) for work in works]
    turns = [[_seconds(work, count) / count for work, count in zip(works, counts, strict=True)] for _ in range(_TURNS)]
    return [min(times) for times in zip(*turns, strict=True)]


def _count(work: _Work) -> int:
    """How often it can be done in a turn."""
    _seconds(work, 10)  # warm-up
    return max(1, round(10 * _TURN / _seconds(work, 10)))


def _seconds(work: _Work, count: int) -> float:
    begun = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - begun
