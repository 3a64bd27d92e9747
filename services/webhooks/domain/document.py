"""A JSON body, read without trust: whatever a stranger sends is either an object or a named error."""

import json
import re
from typing import NoReturn

from libs.errors import InvalidArgument

Document = dict[str, object]

_JSON_SPACES = b" \t\r\n"
_UNSPEAKABLE = re.compile(r"[\x00\ud800-\udfff]")  # in no protobuf string (lone surrogates) or PostgreSQL text (NUL)


class UnreadableBody(InvalidArgument):
    """The body is not what its source sends: the event is kept and dead-lettered with this message."""

    reason = "BODY_UNREADABLE"


def read_document(body: bytes) -> Document:
    """The body as a JSON object; raises UnreadableBody."""
    document = read_json(body)
    if not isinstance(document, dict):
        raise UnreadableBody("the body is JSON, but not an object")
    return document


def read_json(body: bytes) -> object:
    """The body as any JSON value; raises UnreadableBody."""
    try:
        document: object = json.loads(body, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise UnreadableBody("the body is not JSON that can be read: nested too deeply") from error
    except ValueError as error:
        raise UnreadableBody(f"the body is not JSON: {error}") from error
    return document


def expects_json(content_type: str, body: bytes) -> bool:
    """Whether a body claims to be JSON: by its media type, or, where it has none, by its first character."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind:
        return kind == "application/json" or kind.endswith("+json")
    return body.lstrip(_JSON_SPACES)[:1] in (b"{", b"[")


def text(document: Document, field: str) -> str:
    """A text field, empty where absent (senders leave nulls out).

    Raises UnreadableBody for another type, and for a text that could be neither passed on nor stored.
    """
    value = document.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableBody(f"{field} is not a text")
    if _UNSPEAKABLE.search(value):
        raise UnreadableBody(f"{field} holds a NUL character or half a character")
    return value


def objects(document: Document, field: str) -> list[Document]:
    """A list of objects, empty where absent; raises UnreadableBody for another type."""
    value = document.get(field)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise UnreadableBody(f"{field} is not a list of objects")
    return value


def identifier(document: Document, field: str, *, where: str) -> int:
    """A database id of the sender: a positive 64-bit number; raises UnreadableBody for anything else."""
    value = document.get(field)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 63:
        raise UnreadableBody(f"{where}.{field} is not an id")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
