"""Validation rules (buf.validate) as JSON Schema keywords."""

from collections.abc import Mapping
from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor

Schema = dict[str, Any]  # Any: JSON

_BOUNDS = {"gt": "exclusiveMinimum", "gte": "minimum", "lt": "exclusiveMaximum", "lte": "maximum"}
_STRING = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern"}
_FORMATS = ("uuid", "email", "uri", "hostname", "ipv4", "ipv6")  # rules that JSON Schema calls the same
_REPEATED = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}
_NUMBERS = {"int32", "sint32", "sfixed32", "uint32", "fixed32", "double", "float"}


def constrained(schema: Schema, field: FieldDescriptor) -> Schema:
    """The schema of a field with its rules. Those of 64-bit integers, which JSON has as texts, are left out."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    kind = rules.WhichOneof("type")
    if kind is None:
        return schema
    keywords = _keywords(kind, getattr(rules, kind))
    if keywords and rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and kind in _ZERO:
        return {**schema, "anyOf": [_ZERO[kind], keywords]}
    return {**schema, **keywords}


def is_required(field: FieldDescriptor) -> bool:
    """Whether the rules alone demand the field."""
    return bool(field.GetOptions().Extensions[validate_pb2.field].required)


def _keywords(kind: str, rules: Any) -> Schema:
    if kind == "string":
        return {**_given(rules, _STRING), **_format(rules), **_choices(rules)}
    if kind in _NUMBERS:
        return {**_given(rules, _BOUNDS), **_choices(rules)}
    return _given(rules, _REPEATED) if kind == "repeated" else {}


def _given(rules: Any, names: Mapping[str, str]) -> Schema:
    keywords = {keyword: getattr(rules, name) for name, keyword in names.items() if rules.HasField(name)}
    if not _is_ecmascript(str(keywords.get("pattern", ""))):
        del keywords["pattern"]
    return keywords


def _format(rules: Any) -> Schema:
    found = next((name for name in _FORMATS if rules.WhichOneof("well_known") == name and getattr(rules, name)), None)
    return {"format": found} if found else {}


def _choices(rules: Any) -> Schema:
    allowed = list(getattr(rules, "in"))
    return {"enum": allowed} if allowed else {}


def _is_ecmascript(pattern: str) -> bool:
    """Whether an RE2 pattern means the same in ECMAScript: none of RE2's own groups, classes and anchors."""
    return not any(
        own in pattern for own in ("(?i", "(?s", "(?P", "(?U", "(?m", r"\A", r"\z", "[[:", r"\C", r"\Q", r"\p")
    )


_ZERO: dict[str, Schema] = {"string": {"maxLength": 0}, **{kind: {"const": 0} for kind in _NUMBERS}}
