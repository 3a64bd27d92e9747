"""Path templates of google.api.http: `/v1/{name=jobs/*}:cancel`, matched on the path as it was sent.

    template = "/" segments [":" verb]
    segments = segment {"/" segment}
    segment  = literal | "*" | "**" | "{" field.path ["=" segments] "}"

`*` is one segment that is not empty, `**` is any number of them and stands last. Variables do not nest. The path is
split before it is decoded, so an encoded slash never splits; a variable of several segments keeps them as sent.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import zip_longest
from urllib.parse import unquote_to_bytes

from libs.transcoding.faults import Fault

_LITERAL = re.compile(r"[A-Za-z0-9._~!$&'()+,;@%-]+")
_FIELD_PATH = re.compile(r"[a-z_][a-z0-9_]*(?:\.[a-z_][a-z0-9_]*)*")
_TOKEN = re.compile(r"\*\*|\*|[/{}=:]|[^/{}=:*]+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODED_SLASH = re.compile(r"(%2[Ff])")

ONE, MANY = "*", "**"
_END = ""
_WEIGHTS = {ONE: 1, MANY: 2}  # the smaller, the closer; a literal and the end weigh nothing


class BadTemplate(ValueError):
    """A template that is not of the language; raised at start."""


class Overlap(Enum):
    """How two templates share paths."""

    NONE = "no path matches both"
    ORDERED = "one of them is closer to every path that matches both"
    AMBIGUOUS = "neither is"


@dataclass(frozen=True, slots=True)
class Variable:
    """A part of the path that goes into a field; `segments` are literals, `*` and `**`."""

    field: str
    segments: tuple[str, ...]

    @property
    def is_single(self) -> bool:
        """Whether it is one segment, in which an encoded slash is decoded."""
        return len(self.segments) == 1 and self.segments[0] != MANY


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """A parsed template. Build it with `parse`."""

    text: str
    parts: tuple[str | Variable, ...]
    verb: str
    segments: tuple[str, ...]  # the parts without the names of fields
    places: tuple[tuple[Variable, slice], ...]  # where the variables lie among the segments of a path

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Read a template; raises BadTemplate."""
        parts, verb = _Parser(text).template()
        segments = tuple(segment for part in parts for segment in _segments_of(part))
        if MANY in segments[:-1]:
            raise BadTemplate(f"{text}: ** must stand last")
        return cls(text=text, parts=parts, verb=verb, segments=segments, places=tuple(_places(parts)))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables from left to right."""
        return tuple(variable for variable, _ in self.places)

    def overlap(self, other: "Template") -> Overlap:
        """Whether paths exist that match both, and then whether it is plain which of the two is closer."""
        if self.verb != other.verb:
            return Overlap.NONE
        closer: set[bool] = set()
        for mine, theirs in zip_longest(self.segments, other.segments, fillvalue=_END):
            if _END in (mine, theirs) and MANY not in (mine, theirs):
                return Overlap.NONE
            if _weight(mine) == _weight(theirs) == 0 and mine != theirs:
                return Overlap.NONE
            if _weight(mine) != _weight(theirs):
                closer.add(_weight(mine) < _weight(theirs))
            if MANY in (mine, theirs):
                break
        return Overlap.ORDERED if len(closer) == 1 else Overlap.AMBIGUOUS

    def values(self, segments: Sequence[str]) -> dict[str, str]:
        """The variables' values by field, of a path that matches. Raises Fault for one that cannot be decoded."""
        return {variable.field: _value(variable, segments[place]) for variable, place in self.places}


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


def _segments_of(part: str | Variable) -> tuple[str, ...]:
    return part.segments if isinstance(part, Variable) else (part,)


def _places(parts: Sequence[str | Variable]) -> Iterator[tuple[Variable, slice]]:
    start = 0
    for part in parts:
        stop = start + len(_segments_of(part))
        if isinstance(part, Variable):
            yield part, slice(start, None if part.segments[-1] == MANY else stop)
        start = stop


def _weight(segment: str) -> int:
    return _WEIGHTS.get(segment, 0)


def _value(variable: Variable, segments: Sequence[str]) -> str:
    value = "/".join(segments)
    if "%" not in value:
        return value
    if _BAD_ESCAPE.search(value):
        raise Fault("holds a % that is not followed by two hexadecimal digits", path=variable.field)
    pieces = [value] if variable.is_single else _ENCODED_SLASH.split(value)
    try:
        return "".join(
            piece if not variable.is_single and _ENCODED_SLASH.fullmatch(piece) else unquote_to_bytes(piece).decode()
            for piece in pieces
        )
    except UnicodeDecodeError as error:
        raise Fault("is not UTF-8", path=variable.field) from error
