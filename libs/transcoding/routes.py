"""The routes that google.api.http annotations define, checked at start and matched on the raw path."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from google.api import annotations_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.api.http_pb2 import HttpRule  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.templates import BadTemplate, Template
from libs.transcoding.wellknown import HTTP_BODY

_VERBS = ("get", "put", "post", "delete", "patch")
_STREAM_ERROR_KEY = "error"  # what ends an NDJSON stream, so no streamed message may have such a field


class BadRoute(ValueError):
    """An annotation that cannot be served; raised at start, with the method's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One way to call a method over HTTP. `body` is empty, `*` or a field; `index` counts the ways of a method."""

    method: MethodDescriptor
    verb: str
    template: Template
    body: str
    index: int

    @property
    def full_method(self) -> str:
        """The path of the RPC: `/package.Service/Method`."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def body_field(self) -> FieldDescriptor | None:
        """The field that the body goes into; None when there is none or the body is the message."""
        return self.method.input_type.fields_by_name[self.body] if self.body not in ("", "*") else None


@dataclass(frozen=True, slots=True)
class Match:
    """A binding and the values of its path variables, by field path."""

    binding: Binding
    variables: Mapping[str, str]


class RouteTable:
    """Finds the binding for a request. Raises BadRoute when two bindings answer the same requests."""

    def __init__(self, bindings: Sequence[Binding]) -> None:
        _refuse_ambiguity(bindings)
        self.bindings = tuple(sorted(bindings, key=lambda binding: binding.template.specificity))

    def find(self, verb: str, raw_path: str) -> Match | None:
        """The closest binding for a path as sent, without the query. HEAD finds what GET of a unary RPC finds."""
        for binding in self.bindings:
            if _answers(binding, verb):
                variables = binding.template.match(raw_path)
                if variables is not None:
                    return Match(binding, variables)
        return None

    def allowed(self, raw_path: str) -> list[str]:
        """The verbs that a path knows, for `Allow`; empty for an unknown path."""
        found = [binding for binding in self.bindings if binding.template.pattern.fullmatch(raw_path)]
        verbs = {binding.verb for binding in found}
        return sorted(verbs | {"HEAD"} if any(_answers(binding, "HEAD") for binding in found) else verbs)


def bindings(descriptors: DescriptorSet) -> list[Binding]:
    """Every binding of every annotated method. Raises BadRoute for one that cannot be served."""
    return [binding for method in descriptors.methods() for binding in _bindings_of(method)]


def _bindings_of(method: MethodDescriptor) -> Iterator[Binding]:
    options = method.GetOptions()
    if not options.HasExtension(annotations_pb2.http):
        return
    rule = options.Extensions[annotations_pb2.http]
    _check_method(method)
    for index, each in enumerate((rule, *rule.additional_bindings)):
        if index and each.additional_bindings:
            raise BadRoute(f"{method.full_name}: additional_bindings do not nest")
        yield _binding(method, each, index)


def _binding(method: MethodDescriptor, rule: HttpRule, index: int) -> Binding:
    kind = rule.WhichOneof("pattern")
    if kind not in _VERBS and kind != "custom":
        raise BadRoute(f"{method.full_name}: has no verb")
    verb, path = (rule.custom.kind, rule.custom.path) if kind == "custom" else (str(kind), getattr(rule, str(kind)))
    try:
        template = Template.parse(path)
    except BadTemplate as error:
        raise BadRoute(f"{method.full_name}: {error}") from error
    binding = Binding(method=method, verb=verb.upper(), template=template, body=rule.body, index=index)
    _check_fields(binding)
    if rule.response_body:
        raise BadRoute(f"{method.full_name}: response_body is not supported; return google.api.HttpBody")
    return binding


def _check_method(method: MethodDescriptor) -> None:
    if method.client_streaming:
        raise BadRoute(f"{method.full_name}: HTTP cannot stream requests")
    if method.server_streaming and _STREAM_ERROR_KEY in method.output_type.fields_by_name:
        raise BadRoute(f"{method.full_name}: a streamed message cannot have a field {_STREAM_ERROR_KEY!r}")
    if method.server_streaming and method.output_type.full_name == HTTP_BODY:
        raise BadRoute(f"{method.full_name}: HttpBody cannot be streamed")


def _check_fields(binding: Binding) -> None:
    name, message = binding.method.full_name, binding.method.input_type
    if binding.body not in ("", "*") and binding.body not in message.fields_by_name:
        raise BadRoute(f"{name}: body names {binding.body!r}, which {message.name} has not")
    bound = [variable.field for variable in binding.template.variables]
    for path in bound:
        if bound.count(path) > 1:
            raise BadRoute(f"{name}: binds {path!r} twice")
        field = field_at(message, path)
        if field is None or field.is_repeated or field.message_type is not None:
            raise BadRoute(f"{name}: the path binds {path!r}, which is no single scalar field of {message.name}")


def field_at(message: Descriptor, path: str) -> FieldDescriptor | None:
    """The field at a dotted path of proto names through singular messages; None when there is none."""
    first, _, rest = path.partition(".")
    field = message.fields_by_name.get(first)
    if field is None or not rest:
        return field
    if field.message_type is None or field.is_repeated:
        return None
    return field_at(field.message_type, rest)


def _answers(binding: Binding, verb: str) -> bool:
    if verb == "HEAD":
        return binding.verb == "GET" and not binding.method.server_streaming
    return binding.verb == verb


def _refuse_ambiguity(found: Sequence[Binding]) -> None:
    seen: dict[tuple[str, tuple[str, ...]], Binding] = {}
    for binding in found:
        other = seen.setdefault((binding.verb, binding.template.shape), binding)
        if other is not binding:
            raise BadRoute(
                f"{binding.method.full_name}: {binding.verb} {binding.template.text} is the same as "
                f"{other.template.text} of {other.method.full_name}"
            )
