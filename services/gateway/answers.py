"""The one way in which the answer of a unary RPC leaves: whole, so that it can be compared and compressed."""

from collections.abc import Sequence

from starlette.types import Scope, Send

Header = tuple[bytes, bytes]


async def send_answer(
    scope: Scope, send: Send, *, status: int, body: bytes, media_type: bytes, headers: Sequence[Header] = ()
) -> None:
    """Send the answer to the request of `scope`; names of headers are in lower case, as ASGI has them."""
    length = b"%d" % len(body)
    raw = [(b"content-type", media_type), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
