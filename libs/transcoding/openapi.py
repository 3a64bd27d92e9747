"""OpenAPI 3.1 from the same descriptors as the routes: what is described is what is served."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from libs.transcoding import query, resources
from libs.transcoding.constraints import Schema
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.fields import json_path, message_of
from libs.transcoding.routes import Binding, field_at
from libs.transcoding.schemas import Schemas, is_demanded, plain

JSON = "application/json"
NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"
PROBLEM = "application/problem+json"

_VERBS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")  # that OpenAPI can describe
_ANY_TYPE = "*/*"

SECURITY: list[Schema] = [{"apiKey": []}, {"bearer": []}]

_TEXT: Schema = {"type": "string"}
_VIOLATION: Schema = {
    "type": "object",
    "properties": {"field": _TEXT, "description": _TEXT, "reason": _TEXT},
    "required": ["field", "description"],
}
_PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string", "description": "The status in words."},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "code": {"type": "string", "description": "The gRPC code: `NOT_FOUND`."},
        "reason": {"type": "string", "description": "What happened, for programs: `ALBUM_UNKNOWN`."},
        "requestId": {"type": "string", "description": "Finds the request in the logs."},
        "metadata": {"type": "object", "additionalProperties": _TEXT},
        "violations": {"type": "array", "items": _VIOLATION, "description": "What is wrong with which field."},
    },
    "required": ["type", "title", "status", "code", "reason", "requestId"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the description says beyond the protos. `paths` are operations that no annotation can express."""

    title: str
    version: str
    description: str
    is_public: Callable[[MethodDescriptor], bool]
    paths: Mapping[str, Schema]


def describe(descriptors: DescriptorSet, bindings: Sequence[Binding], about: About) -> Schema:
    """The OpenAPI document."""
    schemas = Schemas(descriptors)
    writer = _Writer(descriptors, schemas, about)
    paths: dict[str, Schema] = {}
    for binding in bindings:
        if binding.verb not in _VERBS:
            continue
        path = resources.open_api_path(binding)
        paths.setdefault(path, {})[binding.verb.lower()] = writer.operation(binding)
    for path, item in about.paths.items():
        paths.setdefault(path, {}).update(item)
    return {
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": about.version, "description": about.description},
        "tags": list(writer.tags(bindings)),
        "security": SECURITY,
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, "Problem": _PROBLEM},
            "responses": {"Problem": problem_response("An error.")},
            "securitySchemes": {
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def problem_response(description: str) -> Schema:
    """A response that is a problem."""
    return {"description": description, "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}


class _Writer:
    def __init__(self, descriptors: DescriptorSet, schemas: Schemas, about: About) -> None:
        self._descriptors = descriptors
        self._schemas = schemas
        self._about = about

    def tags(self, bindings: Sequence[Binding]) -> Iterator[Schema]:
        services = {binding.method.containing_service.full_name: binding.method for binding in bindings}
        for name, method in services.items():
            yield {"name": method.containing_service.name, "description": plain(self._descriptors.comment(name))}

    def operation(self, binding: Binding) -> Schema:
        method = binding.method
        service = method.containing_service.name
        text = plain(self._descriptors.comment(method.full_name))
        operation: Schema = {
            "operationId": f"{service}_{method.name}" + (f"_{binding.index}" if binding.index else ""),
            "tags": [service],
            "summary": _first_sentence(text),
            "description": text,
            "parameters": [*self._path_parameters(binding), *self._query_parameters(binding)],
            **self._body(binding),
            "responses": {"200": self._response(binding), "default": {"$ref": "#/components/responses/Problem"}},
        }
        return {**operation, "security": []} if self._about.is_public(method) else operation

    def _path_parameters(self, binding: Binding) -> Iterator[Schema]:
        for variable in binding.template.variables:
            field = field_at(binding.method.input_type, variable.field)
            assert field is not None
            schema = self._schemas.field(field) if variable.segments == ("*",) else dict(_TEXT)
            schema.pop("readOnly", None)
            for name in resources.names_of(binding.method.input_type, variable):
                yield {"name": name, "in": "path", "required": True, "schema": schema}

    def _query_parameters(self, binding: Binding) -> Iterator[Schema]:
        if binding.body == "*":
            return
        taken = {variable.field for variable in binding.template.variables} | {binding.body}
        for path, field in _parameters(binding.method.input_type, taken, above=()):
            yield {
                "name": json_path(path),
                "in": "query",
                **({"required": True} if is_demanded(field) and "." not in path else {}),
                "schema": self._schemas.field(field),
            }

    def _body(self, binding: Binding) -> Schema:
        if not binding.body:
            return {}
        field = binding.body_field
        if binding.takes_raw_body:
            return {"requestBody": {"content": {_ANY_TYPE: {"schema": {}}}}}
        if field is None:
            schema = self._schemas.message(binding.method.input_type)
        elif binding.verb == "PATCH" and field.message_type is not None and not field.is_repeated:
            schema = self._schemas.patch(message_of(field))
        else:
            schema = self._schemas.field(field)
        return {"requestBody": {"required": field is not None, "content": {JSON: {"schema": schema}}}}

    def _response(self, binding: Binding) -> Schema:
        streamed = binding.method.server_streaming
        types = [EVENTS, NDJSON] if streamed else [JSON]
        schema = self._answer(binding)
        content = (
            {_ANY_TYPE: {"schema": {}}} if binding.answers_raw_body else {kind: {"schema": schema} for kind in types}
        )
        return {
            "description": "The messages, one per event or line." if streamed else "The answer.",
            "content": content,
        }

    def _answer(self, binding: Binding) -> Schema:
        field = binding.response_field
        if field is None:
            return self._schemas.message(binding.method.output_type)
        schema = self._schemas.field(field)
        return {"anyOf": [schema, {"type": "null"}]} if field.has_presence else schema


def _parameters(
    message: Descriptor, taken: set[str], *, above: tuple[Any, ...], prefix: str = ""
) -> Iterator[tuple[str, FieldDescriptor]]:
    for field in message.fields:
        path = f"{prefix}{field.name}"
        if path in taken:
            continue
        if query.is_settable(field):
            yield path, field
        elif query.is_enterable(field) and field.message_type not in above:
            yield from _parameters(message_of(field), taken, above=(*above, message), prefix=f"{path}.")


def _first_sentence(text: str) -> str:
    first = text.split("\n\n")[0].replace("\n", " ")
    return first.split(". ")[0].split(": ")[0].rstrip(".")
