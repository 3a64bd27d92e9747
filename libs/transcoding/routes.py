"""The routes that google.api.http annotations define, checked at start and matched on the raw path."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from google.api import annotations_pb2  # type: ignore[import-untyped] # typed, but not marked so
from google.api.http_pb2 import HttpRule  # type: ignore[import-untyped] # typed, but not marked so
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from libs.transcoding import wellknown
from libs.transcoding.descriptors import DescriptorSet
from libs.transcoding.fields import is_map
from libs.transcoding.paths import PathIndex
from libs.transcoding.templates import BadTemplate, Overlap, Template

WHOLE = "*"  # as `body`: the whole message
ANY_VERB = "*"  # as the kind of a custom pattern: whatever the verb is

_VERBS = ("get", "put", "post", "delete", "patch")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_WITHOUT_BODY = ("GET", "HEAD")
_STREAM_ERROR_KEY = "error"  # what ends an NDJSON stream, so no streamed value may have such a key
_FREE_FORM = ("google.protobuf.Struct", wellknown.VALUE, wellknown.ANY)


class BadRoute(ValueError):
    """An annotation that cannot be served; raised at start, with the method's name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Binding:
    """One way to call a method over HTTP. `index` counts the ways of a method.

    `body` is empty, `*` or a field of the request; `response_body` is empty or a field of the response.
    """

    method: MethodDescriptor
    verb: str
    template: Template
    body: str
    response_body: str
    index: int

    @property
    def full_method(self) -> str:
        """The path of the RPC: `/package.Service/Method`."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def body_field(self) -> FieldDescriptor | None:
        """The field that the body goes into; None when there is none or the body is the message."""
        return self.method.input_type.fields_by_name[self.body] if self.body not in ("", WHOLE) else None

    @property
    def response_field(self) -> FieldDescriptor | None:
        """The field that the answer's body is made of; None when it is made of the message."""
        return self.method.output_type.fields_by_name[self.response_body] if self.response_body else None

    @property
    def takes_raw_body(self) -> bool:
        """Whether the body is taken as it is, whatever its media type: it goes into a google.api.HttpBody."""
        return bool(self.body) and _is_raw(self.method.input_type, self.body_field)

    @property
    def answers_raw_body(self) -> bool:
        """Whether the answer's body is the data of a google.api.HttpBody, with its media type."""
        return _is_raw(self.method.output_type, self.response_field)


@dataclass(frozen=True, slots=True)
class Match:
    """A binding and the values of its path variables, by field path."""

    binding: Binding
    variables: Mapping[str, str]


class RouteTable:
    """Finds the binding for a request. Raises BadRoute when it is not plain which of two answers a request.

    The path decides before the verb. HEAD is answered by what answers GET, unless it is bound itself or GET streams; a
    binding of any verb answers where no other does.
    """

    def __init__(self, bindings: Sequence[Binding]) -> None:
        for one, other in combinations(bindings, 2):
            _refuse_ambiguity(one, other)
        self.bindings = tuple(bindings)
        verbs = {binding.verb for binding in bindings} | {"HEAD"}
        self._by_verb = {verb: _index(bindings, verb) for verb in sorted(verbs - {ANY_VERB})}
        self._by_any_verb = _index(bindings, ANY_VERB)

    def find(self, verb: str, raw_path: str) -> Match | None:
        """The closest binding for a path as sent, without the query. Raises Fault for a wrong escape in a variable."""
        found = self._by_verb.get(verb, self._by_any_verb).find(raw_path)
        if found is None:
            return None
        binding, segments = found
        return Match(binding, binding.template.values(segments))

    def allowed(self, raw_path: str) -> list[str]:
        """The verbs that a path knows, for `Allow`; empty for an unknown path."""
        return [verb for verb, index in self._by_verb.items() if index.find(raw_path) is not None]


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
    binding = Binding(
        method=method,
        verb=verb.upper(),
        template=template,
        body=rule.body,
        response_body=rule.response_body,
        index=index,
    )
    _check_verb(binding)
    _check_body(binding)
    _check_variables(binding)
    _check_response(binding)
    return binding


def _check_method(method: MethodDescriptor) -> None:
    if method.client_streaming:
        raise BadRoute(f"{method.full_name}: HTTP cannot stream requests")


def _check_verb(binding: Binding) -> None:
    name = binding.method.full_name
    if not _TOKEN.fullmatch(binding.verb):
        raise BadRoute(f"{name}: {binding.verb!r} is no HTTP method")
    if binding.body and binding.verb in _WITHOUT_BODY:
        raise BadRoute(f"{name}: {binding.verb} has no body")


def _check_body(binding: Binding) -> None:
    message = binding.method.input_type
    if binding.body not in ("", WHOLE) and binding.body not in message.fields_by_name:
        raise BadRoute(f"{binding.method.full_name}: body names {binding.body!r}, which {message.name} has not")


def _check_variables(binding: Binding) -> None:
    name, message = binding.method.full_name, binding.method.input_type
    bound = [variable.field for variable in binding.template.variables]
    for path in bound:
        if bound.count(path) > 1 or path == binding.body:
            raise BadRoute(f"{name}: binds {path!r} twice")
        field = field_at(message, path)
        if field is None or field.is_repeated or field.message_type is not None:
            raise BadRoute(f"{name}: the path binds {path!r}, which is no single scalar field of {message.name}")
        if binding.takes_raw_body and binding.body in (WHOLE, path.partition(".")[0]):
            raise BadRoute(f"{name}: the path binds {path!r}, which the body fills as it is")


def _check_response(binding: Binding) -> None:
    name, message, field = binding.method.full_name, binding.method.output_type, binding.response_body
    if field and field not in message.fields_by_name:
        raise BadRoute(f"{name}: response_body names {field!r}, which {message.name} has not")
    if field and wellknown.has_own_form(message):
        raise BadRoute(f"{name}: response_body names a field of {message.name}, whose JSON has no fields")
    if not binding.method.server_streaming or binding.answers_raw_body:
        return
    if _may_have_error_key(message, binding.response_field):
        raise BadRoute(f"{name}: a streamed value cannot have a key {_STREAM_ERROR_KEY!r}")


def _may_have_error_key(message: Descriptor, field: FieldDescriptor | None) -> bool:
    """Whether the JSON value of a message, or of its field, may be an object with the key of errors."""
    if field is not None:
        if field.message_type is None or (field.is_repeated and not is_map(field)):
            return False
        message = field.message_type
    may_have_any = message.full_name in _FREE_FORM or message.GetOptions().map_entry
    return may_have_any or any(each.json_name == _STREAM_ERROR_KEY for each in message.fields)


def _is_raw(message: Descriptor, field: FieldDescriptor | None) -> bool:
    if field is None:
        return message.full_name == wellknown.HTTP_BODY
    inner = None if field.is_repeated else field.message_type
    return inner is not None and inner.full_name == wellknown.HTTP_BODY


def field_at(message: Descriptor, path: str) -> FieldDescriptor | None:
    """The field at a dotted path of proto names through singular messages; None when there is none."""
    first, _, rest = path.partition(".")
    field = message.fields_by_name.get(first)
    if field is None or not rest:
        return field
    if field.message_type is None or field.is_repeated:
        return None
    return field_at(field.message_type, rest)


def _index(bindings: Sequence[Binding], verb: str) -> PathIndex[Binding]:
    """What answers a verb: its own bindings first, for of one shape the first is kept."""
    own = [each for each in bindings if each.verb == verb]
    lent = [each for each in bindings if verb == "HEAD" and each.verb == "GET" and not each.method.server_streaming]
    other = [each for each in bindings if each.verb == ANY_VERB]
    return PathIndex((each.template, each) for each in (*own, *lent, *other))


def _refuse_ambiguity(one: Binding, other: Binding) -> None:
    if one.verb == other.verb and one.template.overlap(other.template) is Overlap.AMBIGUOUS:
        raise BadRoute(
            f"{other.method.full_name}: {other.verb} {other.template.text} answers requests that "
            f"{one.template.text} of {one.method.full_name} answers, and neither is closer"
        )
