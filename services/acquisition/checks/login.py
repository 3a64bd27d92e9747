"""A trial login on Soulseek: the login message alone, then the end of the connection, which is how one logs out.

The layout is that of the protocol's login message (https://nicotine-plus.org/doc/SLSKPROTOCOL.html#server-code-1).
"""

import asyncio
import hashlib
import re
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum

LOGIN_SECONDS = 4.0

_LOGIN = 1
_CLIENT, _MINOR = 175, 1  # what the client library says of itself, which the server knows
_LONGEST = 64 * 1024  # bytes of an answer to a login
_REASON = re.compile(rb"[A-Z]{1,30}")
_BAD_PASSWORD = b"INVALIDPASS"


class Finding(StrEnum):
    """What came of it."""

    CONNECTED = "CONNECTED"
    LOGGED_IN = "LOGGED_IN"
    ELSEWHERE = "ELSEWHERE"
    IN_USE = "IN_USE"
    DNS = "DNS"
    REFUSED = "REFUSED"
    TIMEOUT = "TIMEOUT"
    BAD_PASSWORD = "BAD_PASSWORD"  # noqa: S105 - the name of a finding
    REJECTED = "REJECTED"
    BAD_ANSWER = "BAD_ANSWER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it, in words where the finding alone does not say it."""

    finding: Finding
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What is tried."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)

    @property
    def server(self) -> str:
        """`host:port`."""
        return f"{self.host}:{self.port}"


class NotSoulseekError(Exception):
    """What answers is no Soulseek server."""


async def log_in(login: Login, *, seconds: float = LOGIN_SECONDS) -> Outcome:
    """Logs in, and out again before it returns. Whoever calls has the account's lease: this kicks a live session."""
    try:
        async with asyncio.timeout(seconds):
            return await _log_in(login)
    except (socket.gaierror, UnicodeError):  # or what is no name of a host at all
        return Outcome(finding=Finding.DNS, message="The host in soulseek.server is not known.")
    except TimeoutError:
        return Outcome(finding=Finding.TIMEOUT, message="The Soulseek server did not answer in time.")
    except (NotSoulseekError, asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
        return Outcome(finding=Finding.BAD_ANSWER, message="What answers at soulseek.server is no Soulseek server.")
    except OSError:
        return Outcome(finding=Finding.REFUSED, message="Nobody listens at soulseek.server.")


async def _log_in(login: Login) -> Outcome:
    reader, writer = await asyncio.open_connection(login.host, login.port)
    try:
        writer.write(_request(login))
        return _judged(await _frame(reader))
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def _request(login: Login) -> bytes:
    digest = hashlib.md5((login.username + login.password).encode(), usedforsecurity=False).hexdigest()
    body = struct.pack("<I", _LOGIN) + _text(login.username) + _text(login.password)
    body += struct.pack("<I", _CLIENT) + _text(digest) + struct.pack("<I", _MINOR)
    return struct.pack("<I", len(body)) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<I", len(encoded)) + encoded


async def _frame(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("<I", await reader.readexactly(4))
    if not 5 <= length <= _LONGEST:
        raise NotSoulseekError
    return await reader.readexactly(length)


def _judged(body: bytes) -> Outcome:
    code, success = struct.unpack_from("<IB", body)
    if code != _LOGIN or success not in (0, 1):
        raise NotSoulseekError
    if success:
        return Outcome(finding=Finding.LOGGED_IN)
    if body[9:] == _BAD_PASSWORD:
        return Outcome(finding=Finding.BAD_PASSWORD, message="The Soulseek server does not accept soulseek.password.")
    said = f" ({body[9:].decode()})" if _REASON.fullmatch(body[9:]) else ""
    return Outcome(finding=Finding.REJECTED, message=f"The Soulseek server does not accept soulseek.username{said}.")
