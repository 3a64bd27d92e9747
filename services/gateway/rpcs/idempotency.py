"""`Idempotency-Key`: the same call twice is one call, for clients that say so by a header."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid5

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from libs.errors import InvalidArgument
from libs.rpc.principal import Principal

_FIELD = "request_id"
_HEADER = "idempotency-key"
_NAMESPACE = UUID("5d0c4d0e-3f6b-4c5a-9a51-7c6f1f7a2e90")  # ours, made by chance
_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)

Who = Callable[[], Principal]  # who calls; raises while nobody can tell
Fill = Callable[[Any, str, Who], None]  # Any: a request message of a class that is only known at run time


def filler(method: str, request: Descriptor) -> Fill | None:
    """What puts the header into a request's `request_id`; None where requests of this method have none."""
    field = request.fields_by_name.get(_FIELD)
    if field is None or field.type != FieldDescriptor.TYPE_STRING or field.is_repeated:
        return None

    def fill(message: Any, sent: str, caller: Who) -> None:
        wanted = request_id_of(sent, method, caller)
        if message.request_id and message.request_id.lower() != wanted.lower():
            raise InvalidArgument.field(_HEADER, "differs from requestId: send one of the two")
        message.request_id = message.request_id or wanted

    return fill


def request_id_of(sent: str, method: str, caller: Who) -> str:
    """The `request_id` for a key: a UUID as it is, all else as a UUID that this caller gets for it at this method only.

    Raises InvalidArgument, and for such a text what `caller` raises: what anybody could have sent says nothing.
    """
    if not _KEY.fullmatch(sent):
        raise InvalidArgument.field(_HEADER, "must be 1 to 255 printable ASCII characters")
    key = sent[1:-1] if len(sent) > 1 and sent[0] == sent[-1] == '"' else sent  # a string of RFC 9651
    if _UUID.fullmatch(key):
        return key
    principal = caller()
    who = principal.key or principal.name
    return str(uuid5(_NAMESPACE, f"{len(who)}:{who}{method}:{key}"))
