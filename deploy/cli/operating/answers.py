"""What tests demand of answers: that something is there, of its type, and only then which."""

from typing import Any, TypeVar

import httpx

from libs.errors import FailedPrecondition

T = TypeVar("T")

_LONGEST = 200  # characters of what was got that are told


class Unexpected(FailedPrecondition):
    """An answer is not what it has to be."""

    reason = "UNEXPECTED_ANSWER"

    def __init__(self, expected: str, got: object) -> None:
        self.expected = expected
        self.got = str(got)[:_LONGEST]
        super().__init__(f"expected {self.expected}, got {self.got}")


def document(answer: httpx.Response) -> dict[str, Any]:
    """The JSON object of an answer with 200. Raises Unexpected."""
    if answer.status_code != httpx.codes.OK:
        raise Unexpected("200", answer.status_code)
    try:
        found = answer.json()
    except ValueError:
        raise Unexpected("JSON", answer.headers.get("content-type", "no content type")) from None
    if not isinstance(found, dict):
        raise Unexpected("an object", type(found).__name__)
    return found


def field(told: object, path: str, kind: type[T]) -> T:
    """What is at `a.b.c`, if it is there and of this type. Raises Unexpected."""
    found = told
    for step in path.split("."):
        if not isinstance(found, dict) or step not in found:
            raise Unexpected(f"{path}: {kind.__name__}", "nothing there")
        found = found[step]
    if not isinstance(found, kind):
        raise Unexpected(f"{path}: {kind.__name__}", type(found).__name__)
    return found


def demand(expected: str, got: object, *allowed: object) -> None:
    """Raises Unexpected unless it is one of those that are allowed."""
    if got not in allowed:
        raise Unexpected(expected, got)
