"""`python -m services.config.reference`: the settings reference, printed from the catalogue as Markdown."""

import sys
from collections.abc import Iterator
from importlib.resources import files
from itertools import groupby

from lockgroove.config.v1 import config_pb2 as pb

from libs.transcoding.descriptors import comments
from services.config.catalogue import described, load_catalogue
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
at its start with the variable's name and what is expected of it; an empty one counts as unset. `lockgroove validate`
finds all of them before a start.

This page as JSON, for a page of your own: `GET /api/v1/settings:describe`, with a `READ` key. The rest is in
[configuration](configuration.md).
"""
_COLUMNS = ("Setting", "Meaning", "Value", "Unit", "Default", "Environment", "Obeyed by")
_HEADER = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}"


def reference() -> str:
    """The whole page."""
    said = comments(files("lockgroove").joinpath("descriptors.binpb").read_bytes(), pb.DESCRIPTOR.name)
    return "\n".join([_INTRODUCTION, *_sections(said)])


def _sections(said: dict[str, str]) -> Iterator[str]:
    for name, specs in groupby(described(load_catalogue()), key=_subject):
        subject = pb.Settings.DESCRIPTOR.fields_by_name[name]
        assert subject.message_type is not None, "a subject is a message"
        yield f"## {subject.json_name}\n"
        yield f"{said[subject.message_type.full_name]}\n"
        yield _HEADER
        yield from map(_row, specs)
        yield ""


def _subject(spec: SettingSpec) -> str:
    return spec.path.partition(".")[0]


def _row(spec: SettingSpec) -> str:
    value = f"{_value(spec)}, secret" if spec.secret else _value(spec)
    default = _code(spec.default) if spec.default else ""
    services = ", ".join(spec.services) or "nobody yet"
    meaning = spec.help.replace("|", "\\|")
    cells = [_code(spec.json_path), meaning, value, spec.unit, default, _code(spec.environment), services]
    return f"| {' | '.join(cells)} |"


def _value(spec: SettingSpec) -> str:
    match spec.kind:
        case Kind.INTEGER:
            return f"whole number{_between(spec)}"
        case Kind.DURATION:
            return f"duration{_between(spec)}"
        case Kind.CHOICE:
            return " or ".join(map(_code, spec.choices))
        case Kind.BOOLEAN:
            return "`true` or `false`"
        case Kind.TEXT:
            form = f" like {_code(spec.pattern)}" if spec.pattern else ""
            return f"text{form}, up to {spec.max_length} characters"


def _between(spec: SettingSpec) -> str:
    least = f" from {spec.minimum}" if spec.minimum else ""
    return f"{least} to {spec.maximum}" if spec.maximum else least


def _code(text: str) -> str:
    return f"`{text}`".replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
