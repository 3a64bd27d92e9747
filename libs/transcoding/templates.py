"""Path templates of google.api.http: `/v1/{name=jobs/*}:cancel`, matched on the path as it was sent.

    template = "/" segments [":" verb]
    segments = segment {"/" segment}
    segment  = literal | "*" | "**" | "{" field.path ["=" segments] "}"

`*` is one segment that is not empty, `**` is any number of them and stands last. Variables do not nest. The path is
split before it is decoded, so an encoded slash never splits; a variable of several segments keeps them as sent.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from libs.transcoding.faults import Fault

_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()+,;@%-]+")
_FIELD_PATH = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*")
_TOKEN = re.compile(r"\*\*|\*|[/{}=:]|[^/{}=:*]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_SLASH = re.compile(r"(%2[Ff])")

ONE, MANY = "*", "**"


class BadTemplate(ValueError):
    """A template that is not of the language; raised at start."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of the path that goes into a field; `segments` are literals, `*` and `**`."""

    field: str
    segments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template. Build it with `parse`."""

    text: str
    parts: tuple[str | Variable, ...]
    verb: str
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read a template; raises BadTemplate."""
        parts, verb = _Parser(text).template()
        if MANY in _flat(parts)[:-1]:
            raise BadTemplate(f"{text}: ** must stand last")
        return cls(text=text, parts=parts, verb=verb, pattern=_pattern(parts, verb))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables from left to right."""
        return tuple(part for part in self.parts if isinstance(part, Variable))

    @property
    def shape(self) -> tuple[str, ...]:
        """What it matches, whatever the fields are called: two templates of one shape are ambiguous."""
        return (*_flat(self.parts), f":{self.verb}")

    @property
    def specificity(self) -> tuple[tuple[int, ...], int]:
        """Sorts templates so that the first match is the closest: literal before `*` before `**`, verbs first."""
        weights = {ONE: 1, MANY: 2}
        return tuple(weights.get(segment, 0) for segment in _flat(self.parts)), 0 if self.verb else 1

    def match(self, raw_path: str) -> Mapping[str, str] | None:
        """The variables' values by field, or None. Raises Fault for a value that cannot be decoded."""
        found = self.pattern.fullmatch(raw_path)
        if found is None:
            return None
        values = zip(self.variables, found.groups(default=""), strict=True)
        return {variable.field: _decode(variable, value) for variable, value in values}


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = [*_TOKEN.findall(text), ""]

    def template(self) -> tuple[tuple[str | Variable, ...], str]:
        self._expect("/")
        parts = [self._segment()]
        while self._accept("/"):
            parts.append(self._segment())
        verb = self._literal() if self._accept(":") else ""
        self._expect("")
        return tuple(parts), verb

    def _segment(self) -> str | Variable:
        return self._variable() if self._accept("{") else self._plain_segment()

    def _variable(self) -> Variable:
        field = self._tokens.pop(0)
        if not _FIELD_PATH.fullmatch(field):
            raise BadTemplate(f"{self._text}: {field!r} is not a field path")
        segments = self._segments() if self._accept("=") else (ONE,)
        self._expect("}")
        return Variable(field, segments)

    def _segments(self) -> tuple[str, ...]:
        segments = [self._plain_segment()]
        while self._accept("/"):
            segments.append(self._plain_segment())
        return tuple(segments)

    def _plain_segment(self) -> str:
        return self._tokens.pop(0) if self._tokens[0] in (ONE, MANY) else self._literal()

    def _literal(self) -> str:
        token = self._tokens[0]
        if not _LITERAL.fullmatch(token):
            raise BadTemplate(f"{self._text}: {token or 'its end'!r} where a segment should be")
        return self._tokens.pop(0)

    def _accept(self, token: str) -> bool:
        if self._tokens[0] != token:
            return False
        self._tokens.pop(0)
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise BadTemplate(f"{self._text}: {self._tokens[0] or 'its end'!r} where {token or 'its end'!r} should be")


def _flat(parts: tuple[str | Variable, ...]) -> tuple[str, ...]:
    return tuple(segment for part in parts for segment in (part.segments if isinstance(part, Variable) else (part,)))


def _pattern(parts: tuple[str | Variable, ...], verb: str) -> re.Pattern[str]:
    last = len(parts) - 1
    body = "".join(_part_pattern(part, closing=index == last) for index, part in enumerate(parts))
    return re.compile(body + (f":{re.escape(verb)}" if verb else ""))


def _part_pattern(part: str | Variable, *, closing: bool) -> str:
    """One part with its slash; the closing one may not hold a colon, which would be a verb that nobody registered."""
    if not isinstance(part, Variable):
        return _segment_pattern(part, closing=closing)
    if part.segments == (MANY,):
        return f"(?:/({_many(closing=closing)}))?"
    last = len(part.segments) - 1
    patterns = [_segment_pattern(text, closing=closing and index == last) for index, text in enumerate(part.segments)]
    return f"/({''.join(patterns).removeprefix('/')})"


def _segment_pattern(segment: str, *, closing: bool) -> str:
    if segment == MANY:
        return f"(?:/{_many(closing=closing)})?"
    return f"/{_one(closing=closing)}" if segment == ONE else f"/{re.escape(segment)}"


def _one(*, closing: bool) -> str:
    return "[^/:]+" if closing else "[^/]+"


def _many(*, closing: bool) -> str:
    return f"(?:[^/]+/)*{_one(closing=closing)}"


def _decode(variable: Variable, value: str) -> str:
    if "%" not in value:
        return value
    if _BAD_ESCAPE.search(value):
        raise Fault("holds a % that is not followed by two hexadecimal digits", path=variable.field)
    single = len(variable.segments) == 1 and variable.segments[0] != MANY
    pieces = [value] if single else _ENCODED_SLASH.split(value)
    try:
        return "".join(
            piece if not single and _ENCODED_SLASH.fullmatch(piece) else unquote_to_bytes(piece).decode()
            for piece in pieces
        )
    except UnicodeDecodeError as error:
        raise Fault("is not UTF-8", path=variable.field) from error
