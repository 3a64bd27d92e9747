"""OpenAPI 3.1 from the same descriptors as the routes: what is described is what is served."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

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

_STREAM = (
    "The messages as they come; the schema is that of one. As events: each is the `data` of an event, with an `id`"
    " where the stream can be resumed, and an error is a last event `rpc-error`. As lines: each is a line of JSON, and"
    " an error is the last."
)
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


# What ends a stream of lines: an error as its last line.
_STREAM_ERROR: Schema = {
    "type": "object",
    "description": "The last line of a stream that an error ends.",
    "properties": {"error": {"$ref": "#/components/schemas/Problem"}},
    "required": ["error"],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What an operation has beyond its proto. `headers` are those of its answer, `responses` are by status."""

    security: list[Schema]
    note: str = ""
    parameters: Sequence[Schema] = ()
    headers: Mapping[str, Schema] = dataclasses.field(default_factory=dict)
    responses: Mapping[str, Schema] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the description says beyond the protos.

    `paths` are operations that no annotation can express, `tags` theirs. `examples` are bodies, by the names of their
    schemas. `components` are what `added` and `paths` refer to.
    """

    title: str
    version: str
    description: str
    added: Callable[[Binding], Added]
    paths: Mapping[str, Schema]
    tags: Sequence[Schema] = ()
    examples: Mapping[str, object] = dataclasses.field(default_factory=dict)
    components: Mapping[str, Mapping[str, Schema]] = dataclasses.field(default_factory=dict)


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
    own = {"Problem": _PROBLEM, "StreamError": _STREAM_ERROR}
    return {
        "openapi": "3.1.0",
        "info": {"title": about.title, "version": about.version, "description": about.description},
        "tags": [*writer.tags(bindings), *about.tags],
        "paths": paths,
        "components": {
            **about.components,
            "schemas": {**schemas.components, **own, **about.components.get("schemas", {})},
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
        added = self._about.added(binding)
        return {
            "operationId": f"{service}_{method.name}" + (f"_{binding.index}" if binding.index else ""),
            "tags": [service],
            "summary": _first_sentence(text),
            "description": f"{text}\n\n{added.note}" if added.note else text,
            "parameters": [
                *self._path_parameters(binding),
                *self._query_parameters(binding),
                *added.parameters,
            ],
            **self._body(binding),
            "responses": {"200": {**self._response(binding), "headers": added.headers}, **added.responses},
            "security": added.security,
        }

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
        content = {"schema": schema, **self._example(schema)}
        return {"requestBody": {"required": field is not None, "content": {JSON: content}}}

    def _example(self, schema: Schema) -> Schema:
        name = schema.get("$ref", "").rpartition("/")[2]
        return {"example": self._about.examples[name]} if name in self._about.examples else {}

    def _response(self, binding: Binding) -> Schema:
        if binding.answers_raw_body:
            return {"description": "The answer, as it is.", "content": {_ANY_TYPE: {"schema": {}}}}
        schema = self._answer(binding)
        if not binding.method.server_streaming:
            return {"description": "The answer.", "content": {JSON: {"schema": schema}}}
        line = {"anyOf": [schema, {"$ref": "#/components/schemas/StreamError"}]}
        return {
            "description": _STREAM,
            "content": {EVENTS: {"schema": schema}, NDJSON: {"schema": line}},
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
