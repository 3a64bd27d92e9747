"""Which template a path matches: an index over the segments, built at start.

The closest template wins: from left to right a literal before `*` before `**`. A path is split as it was sent; an empty
segment matches nothing, and what follows the colon of the last segment is a verb that a template must have.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from libs.transcoding.templates import MANY, ONE, Template

T = TypeVar("T")


@dataclass(slots=True)
class _Node(Generic[T]):
    """What may follow a segment. `ends` and `rests` are the entries by verb: of this path, and of all that go on."""

    literals: "dict[str, _Node[T]]" = field(default_factory=dict)
    one: "_Node[T] | None" = None
    ends: dict[str, T] = field(default_factory=dict)
    rests: dict[str, T] = field(default_factory=dict)


class PathIndex(Generic[T]):
    """Finds entries by path; of two entries of one shape the first is kept."""

    def __init__(self, entries: Iterable[tuple[Template, T]]) -> None:
        self._root: _Node[T] = _Node()
        for template, entry in entries:
            self._enter(template, entry)

    def find(self, raw_path: str) -> tuple[T, list[str]] | None:
        """The entry for a path as sent, and the path's segments without the verb; None when nothing matches."""
        first, *segments = raw_path.split("/")
        if first or not segments:
            return None
        segments[-1], colon, verb = segments[-1].partition(":")
        if "" in segments or (colon and not verb):
            return None
        entry = _walk(self._root, segments, 0, verb)
        return None if entry is None else (entry, segments)

    def _enter(self, template: Template, entry: T) -> None:
        node = self._root
        for segment in template.segments:
            if segment == MANY:
                node.rests.setdefault(template.verb, entry)
                return
            node = _next(node, segment)
        node.ends.setdefault(template.verb, entry)


def _next(node: _Node[T], segment: str) -> _Node[T]:
    if segment != ONE:
        return node.literals.setdefault(segment, _Node())
    node.one = node.one or _Node()
    return node.one


def _walk(node: _Node[T], segments: list[str], index: int, verb: str) -> T | None:
    if index == len(segments):
        found = node.ends.get(verb)
    else:
        literal = node.literals.get(segments[index])
        found = None if literal is None else _walk(literal, segments, index + 1, verb)
        if found is None and node.one is not None:
            found = _walk(node.one, segments, index + 1, verb)
    return node.rests.get(verb) if found is None else found
