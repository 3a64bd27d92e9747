"""Connections to peers that bear whatever is sent on them: the stock ones read what a peer announces, 4 GiB if it says.

A message that is too long, empty, or unpacks to too much ends the connection, and so do several that nobody can read.
What a peer says after it got a file is thrown away, and only waited for so long.
"""

import asyncio
import zlib

from aioslsk.exceptions import ConnectionReadError, MessageDeserializationError
from aioslsk.network.connection import CloseReason, PeerConnection, PeerConnectionState, PeerConnectionType
from aioslsk.protocol.messages import PeerDirectoryContentsReply, PeerSearchReply, PeerSharesReply
from aioslsk.protocol.primitives import MessageDataclass, uint32

MAX_MESSAGE = 4 << 20  # bytes; ten thousand files in one answer are a fifth of that
MAX_UNPACKED = 8 << 20
MAX_UNREADABLE = 10  # messages of one connection
FAREWELL_SECONDS = 60.0
_HEADER = 4
_CHUNK = 64 * 1024
_FAREWELL_CHUNKS = 16
_PACKED = {message.Request.MESSAGE_ID for message in (PeerDirectoryContentsReply, PeerSearchReply, PeerSharesReply)}


class BoundedConnection(PeerConnection):
    """A connection to a peer that cannot cost more than it is worth."""

    _unreadable = 0

    async def receive_message_object(self) -> MessageDataclass | None:
        """The next message, None at the end; raises as the stock method does."""
        try:
            return await super().receive_message_object()
        except MessageDeserializationError:
            self._unreadable += 1
            if self._unreadable >= MAX_UNREADABLE:
                await self.disconnect(CloseReason.READ_ERROR)
            raise

    async def receive_until_eof(self, raise_exception: bool = True) -> bytes | None:
        """Wait for the peer to hang up, and keep nothing of what it says until then."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                for _ in range(_FAREWELL_CHUNKS):
                    if not await self.receive_data(_CHUNK):
                        break
                    await asyncio.sleep(0)
        except (ConnectionReadError, TimeoutError):
            pass
        await self.disconnect(CloseReason.REQUESTED)
        return b""

    def deserialize_message(self, message_data: bytes) -> MessageDataclass:
        """Parse a message that does not unpack to more than it may."""
        if self._is_packed(message_data):
            unpacking = zlib.decompressobj()
            unpacking.decompress(message_data[2 * _HEADER :], MAX_UNPACKED)
            if unpacking.unconsumed_tail:
                raise ValueError("unpacks to too much")
        return super().deserialize_message(message_data)

    async def _read_message(self) -> bytes:
        await asyncio.sleep(0)  # however fast they come, others have their turn
        if self.obfuscated or self._reader is None:
            return await super()._read_message()
        header = await self._reader.readexactly(_HEADER)
        length = int.from_bytes(header, "little")
        if not 0 < length <= MAX_MESSAGE:
            raise ValueError(f"announces a message of {length} bytes")
        return header + await self._reader.readexactly(length)

    def _is_packed(self, data: bytes) -> bool:
        talks = self.connection_type == PeerConnectionType.PEER
        if not talks or self.connection_state is PeerConnectionState.AWAITING_INIT or len(data) < 2 * _HEADER:
            return False
        return uint32.deserialize(_HEADER, data)[1] in _PACKED


class BoundedConnections(list[PeerConnection]):
    """The connections of a network: the library makes them of its own class, but lists each one first."""

    def append(self, connection: PeerConnection) -> None:
        """Bound a new connection."""
        connection.__class__ = BoundedConnection
        super().append(connection)
