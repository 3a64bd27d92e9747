"""Resource patterns (AIP-122) name the variables of a path: `{name=jobs/*}` reads `jobs/{job}`."""

from collections.abc import Iterator

from google.api import resource_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor

from libs.transcoding.routes import Binding, field_at
from libs.transcoding.templates import MANY, ONE, Variable


def open_api_path(binding: Binding) -> str:
    """The path of a binding with one named variable per segment, as OpenAPI wants it."""
    template, message = binding.template, binding.method.input_type
    parts = ["/".join(_expanded(message, part)) if isinstance(part, Variable) else part for part in template.parts]
    return "/" + "/".join(parts) + (f":{template.verb}" if template.verb else "")


def names_of(message: Descriptor, variable: Variable) -> list[str]:
    """The names of the segments that a path variable leaves open."""
    return [part[1:-1] for part in _expanded(message, variable) if part.startswith("{")]


def _expanded(message: Descriptor, variable: Variable) -> list[str]:
    for pattern in _patterns(message, variable):
        steps = pattern.split("/")
        if len(steps) == len(variable.segments) and all(map(_fits, variable.segments, steps)):
            return steps
    name = variable.field.replace(".", "_")
    openings = [index for index, segment in enumerate(variable.segments) if segment in (ONE, MANY)]
    names = {index: f"{name}_{count}" if count else name for count, index in enumerate(openings)}
    return [f"{{{names[index]}}}" if index in names else text for index, text in enumerate(variable.segments)]


def _fits(segment: str, step: str) -> bool:
    return segment == step or (segment == ONE and step.startswith("{"))


def _patterns(message: Descriptor, variable: Variable) -> Iterator[str]:
    """The patterns of the resource that the field names, or that it is the name of."""
    field = field_at(message, variable.field)
    if field is None or field.containing_type is None:
        return
    yield from _resource(field.containing_type).pattern
    referred = field.GetOptions().Extensions[resource_pb2.resource_reference].type
    if referred:
        for neighbour in field.containing_type.file.message_types_by_name.values():
            resource = _resource(neighbour)
            if resource.type == referred:
                yield from resource.pattern


def _resource(message: Descriptor) -> resource_pb2.ResourceDescriptor:
    return message.GetOptions().Extensions[resource_pb2.resource]
