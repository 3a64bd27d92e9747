"""How Soulseek messages lie on a stream: a length in four little-endian bytes, then the body."""

import asyncio

_HEADER = 4
_LONGEST = 16 * 1024 * 1024  # bytes


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next message with its header, as aioslsk's message classes parse it; empty at the end of the stream."""
    try:
        header = await reader.readexactly(_HEADER)
        length = int.from_bytes(header, "little")
        return header + await reader.readexactly(length) if length <= _LONGEST else b""
    except asyncio.IncompleteReadError:
        return b""
