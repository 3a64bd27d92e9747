"""`python -m services.config.reference`: the settings reference, printed from the descriptors as Markdown."""

import sys
from collections.abc import Iterator
from importlib.resources import files

from buf.validate import validate_pb2 as validate
from google.protobuf.descriptor import FieldDescriptor
from lockgroove.config.v1 import config_pb2 as pb

from libs.transcoding.descriptors import DescriptorSet
from services.config.catalogue import load_catalogue
from services.config.domain.catalogue import Kind, SettingSpec

_INTRODUCTION = """\
# Settings

Made from the protos by `python -m services.config.reference`; do not edit.

Read them with `GET /api/v1/settings`, change them with `PATCH /api/v1/settings`, both with an `ADMIN` key. A value in
the database wins over the environment variable, which wins over the default; `sources` in the answer says which one
is in force. `null` forgets the value in the database:

```sh
curl -X PATCH http://127.0.0.1:3006/api/v1/settings -H "X-Api-Key: $KEY" -H 'Content-Type: application/json' \\
  -d '{"lidarr": {"url": "http://127.0.0.1:8686", "apiKey": "…", "rootFolder": null}}'
```

Running services obey a change within a second. Secrets are stored encrypted and never returned; `secretsSet` lists
those that have a value. To change only what you have read, send the `etag` of the answer along: if somebody else was
faster, the change is refused with 409 and the current `etag`. A wrong environment variable stops the config service
at its start with the variable's name and what is expected of it; an empty one counts as unset.
"""
_HEADER = "| Setting | Meaning | Value | Default | Environment |\n| --- | --- | --- | --- | --- |"


def reference() -> str:
    """The whole page."""
    protos = DescriptorSet(files("lockgroove").joinpath("descriptors.binpb").read_bytes())
    catalogue = {spec.path: spec for spec in load_catalogue()}
    return "\n".join([_INTRODUCTION, *_sections(protos, catalogue)])


def _sections(protos: DescriptorSet, catalogue: dict[str, SettingSpec]) -> Iterator[str]:
    for subject in pb.Settings.DESCRIPTOR.fields:
        if subject.message_type is None or subject.is_repeated:
            continue
        yield f"## {subject.json_name}\n"
        yield f"{protos.comment(subject.message_type.full_name)}\n"
        yield _HEADER
        for field in subject.message_type.fields:
            yield _row(catalogue[f"{subject.name}.{field.name}"], field, protos.comment(field.full_name))
        yield ""


def _row(spec: SettingSpec, field: FieldDescriptor, meaning: str) -> str:
    rules = field.GetOptions().Extensions[validate.field]
    value = f"{_value(spec, rules)}, secret" if spec.secret else _value(spec, rules)
    default = _code(spec.default) if spec.default else ""
    cells = [_code(spec.json_path), _one_line(meaning), value, default, _code(spec.environment)]
    return f"| {' | '.join(cells)} |"


def _value(spec: SettingSpec, rules: validate.FieldRules) -> str:
    match spec.kind:
        case Kind.INTEGER:
            return f"whole number{_between(*_bounds(rules.int32))}"
        case Kind.DURATION:
            return f"duration{_between(*_bounds(rules.duration))}"
        case Kind.CHOICE:
            return " or ".join(map(_code, spec.choices))
        case Kind.BOOLEAN:
            return "`true` or `false`"
        case Kind.TEXT:
            return _text(rules.string)


def _text(rules: validate.StringRules) -> str:
    form = f" like {_code(rules.pattern)}" if rules.pattern else ""
    return f"text{form}, up to {rules.max_len} characters"


def _bounds(rules: validate.Int32Rules | validate.DurationRules) -> tuple[str, str]:
    texts = ("" if not rules.HasField(side) else _bound(getattr(rules, side)) for side in ("gte", "lte"))
    return next(texts), next(texts)


def _bound(value: object) -> str:
    return str(value.ToJsonString() if hasattr(value, "ToJsonString") else value)


def _between(least: str, most: str) -> str:
    return (f" from {least}" if least else "") + (f" to {most}" if most else "")


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
