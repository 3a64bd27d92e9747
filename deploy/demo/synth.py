"""A small synthesizer: chords with some hiss, so that a FLAC file of them compresses about as well as music does."""

import array
import math
import random
import sys

RATE = 44_100  # samples a second and channel
_NOTE_SAMPLES = RATE // 4
_SCALE = (0, 2, 4, 7, 9, 12, 14, 16)  # semitones of a pentatonic scale
_LOWEST = 110.0  # hertz
_LOUDNESS, _HISS = 6_000, 500


def stereo(seed: int, seconds: float, *, notes: int) -> bytes:
    """Signed 16-bit little-endian samples, left and right in turn: a few notes, in an order that the seed decides."""
    chance = random.Random(seed)
    voices = [_note(chance) for _ in range(notes)]
    wanted = int(seconds * RATE) * 4
    pieces: list[bytes] = []
    while sum(map(len, pieces)) < wanted:
        pieces.append(chance.choice(voices))
    return b"".join(pieces)[:wanted]


def _note(chance: random.Random) -> bytes:
    pitch = _LOWEST * 2 ** ((chance.choice(_SCALE) + chance.choice((0, 12, 24))) / 12)
    left, right = (2 * math.pi * pitch * interval / RATE for interval in (1.0, 1.5))
    hiss = iter(chance.choices(range(-_HISS, _HISS), k=2 * _NOTE_SAMPLES))
    samples = array.array("h", bytes(4 * _NOTE_SAMPLES))
    samples[0::2] = array.array("h", [int(_LOUDNESS * math.sin(left * at)) + next(hiss) for at in range(_NOTE_SAMPLES)])
    samples[1::2] = array.array(
        "h", [int(_LOUDNESS * math.sin(right * at)) + next(hiss) for at in range(_NOTE_SAMPLES)]
    )
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()
