"""What is sealed opens as it was, or not at all."""

from io import BytesIO

import pytest

from libs.backup.errors import Damaged
from libs.backup.sealing import PIECE, Opener, Sealer

KEY, HEADER = bytes(range(32)), b"header"
TAG = 16


class Named(BytesIO):
    """A file in memory that has a name, as files do."""

    name = "a.lgb"


def sealed(content: bytes) -> bytes:
    file = Named()
    sealer = Sealer(file, KEY, HEADER)
    for start in range(0, len(content), 300_000):
        sealer.write(content[start : start + 300_000])
    sealer.finish()
    return file.getvalue()


def opened(content: bytes, *, key: bytes = KEY, header: bytes = HEADER) -> bytes:
    return Opener(Named(content), key, header).readall() or b""


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
def test_what_was_sealed_opens(size: int) -> None:
    content = bytes(size - 1) + b"!" if size else b""

    assert opened(sealed(content)) == content


@pytest.mark.parametrize("kept", [0, 1, PIECE + TAG - 1, PIECE + TAG, 2 * (PIECE + TAG)])
def test_a_file_that_was_cut_does_not_open(kept: int) -> None:
    whole = sealed(bytes(2 * PIECE + 5))

    with pytest.raises(Damaged):
        opened(whole[:kept])


@pytest.mark.parametrize("at", [0, PIECE, PIECE + TAG, -1])
def test_a_changed_byte_does_not_open(at: int) -> None:
    changed = bytearray(sealed(bytes(PIECE + 5)))
    changed[at] ^= 1

    with pytest.raises(Damaged):
        opened(bytes(changed))


def test_pieces_in_another_order_do_not_open() -> None:
    whole = sealed(bytes(2 * PIECE + 5))
    first, second, rest = whole[: PIECE + TAG], whole[PIECE + TAG : 2 * (PIECE + TAG)], whole[2 * (PIECE + TAG) :]

    with pytest.raises(Damaged):
        opened(second + first + rest)


def test_a_file_with_something_behind_it_does_not_open() -> None:
    with pytest.raises(Damaged):
        opened(sealed(b"content") + b"\0")


def test_another_header_does_not_open() -> None:
    with pytest.raises(Damaged):
        opened(sealed(b"content"), header=b"another")
