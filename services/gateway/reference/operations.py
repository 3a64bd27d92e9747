"""What the gateway adds to every RPC that it serves: credentials, conditions, limits, and their errors."""

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from lockgroove.api.v1 import annotations_pb2 as api

from libs.rpc.auth import scope_of
from libs.transcoding.constraints import Schema
from libs.transcoding.openapi import Added
from libs.transcoding.routes import Binding
from services.gateway.access.browsers import SAFE
from services.gateway.rates.pages import is_unlimited
from services.gateway.reference.components import IDS, RATES, errors, header_references, parameter_reference
from services.gateway.watching.upstream import CURSOR


def added(binding: Binding) -> Added:
    """What is added to one."""
    scope = scope_of(binding.method)
    headers = [*IDS]
    if not is_unlimited(binding.verb, binding.template.text):
        headers.extend(RATES)
    if _is_comparable(binding):
        headers.append("ETag")
    not_modified = {"304": {"$ref": "#/components/responses/NotModified"}} if _is_comparable(binding) else {}
    return Added(
        security=[] if scope == api.PUBLIC else list(_security(binding, scope)),
        note="" if scope == api.PUBLIC else f"Scope: `{_name(scope)}`.",
        parameters=[parameter_reference(name) for name in _parameters(binding)],
        headers=header_references(tuple(headers)),
        responses={**not_modified, **errors(*_errors(binding, scope))},
    )


def _security(binding: Binding, scope: int) -> Iterator[Schema]:
    roles = [_name(scope)]
    yield {"apiKey": roles}
    yield {"bearer": roles}
    yield {"session": roles} if binding.verb in SAFE else {"session": roles, "csrf": []}
    if binding.verb == "GET" and binding.method.server_streaming:
        yield {"ticket": roles}


def _parameters(binding: Binding) -> Iterator[str]:
    request = binding.method.input_type
    if _is_comparable(binding):
        yield "IfNoneMatch"
    if binding.verb not in SAFE and _takes_etag(binding):
        yield "IfMatch"
    if _has_text(request, "request_id"):
        yield "IdempotencyKey"
    if binding.method.server_streaming and _has_text(request, CURSOR):
        yield "LastEventId"


def _errors(binding: Binding, scope: int) -> Iterator[int]:
    yield from (400, 404, 406, 503, 504)
    if scope != api.PUBLIC:
        yield from (401, 403)
    if binding.verb not in SAFE:
        yield from (409, 501)
    if binding.body:
        yield from (408, 413, 415)
    yield 429


def _takes_etag(binding: Binding) -> bool:
    """Whether the request says which version it changes: itself, or the resource in the body of a PATCH."""
    field = binding.body_field
    holder = field.message_type if field is not None and binding.verb == "PATCH" else None
    return _has_text(binding.method.input_type, "etag") or (holder is not None and _has_text(holder, "etag"))


def _is_comparable(binding: Binding) -> bool:
    return binding.verb == "GET" and not binding.method.server_streaming


def _has_text(message: Descriptor, name: str) -> bool:
    field = message.fields_by_name.get(name)
    return field is not None and field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated


def _name(scope: int) -> str:
    return api.Scope.Name(api.Scope.ValueType(scope))
