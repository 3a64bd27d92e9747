"""Functions made of source text, once per message type at start, as dataclasses make theirs: ADR 0024 has the figures.

A text is made of nothing but the names and values of a descriptor set: Python names that were checked, literals that
`repr` wrote, and names that a Namespace gave out. Nothing of a request ever becomes source text.
"""

from collections.abc import Iterable
from keyword import iskeyword
from typing import Any


class Namespace:
    """What generated functions see. They find each other by name, so that a message may hold itself."""

    def __init__(self) -> None:
        # Any: constants and functions of every kind.
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def reserve(self) -> str:
        """A name whose value comes later."""
        return self.name(None)

    def name(self, value: Any) -> str:
        """A new name for a value."""
        name = f"_{len(self._values)}"
        self._values[name] = value
        return name

    def define(self, name: str, parameters: Iterable[str], lines: Iterable[str]) -> None:
        """Make a function of the lines of its body."""
        text = "\n    ".join((f"def {name}({', '.join(parameters)}):", *lines))
        exec(compile(text, f"<generated {name}>", "exec"), self._values)  # noqa: S102 (the docstring above says of what)


def getter(holder: str, name: str) -> str:
    """The expression that reads an attribute."""
    return f"{holder}.{name}" if _is_plain(name) else f"getattr({holder}, {name!r})"


def setter(holder: str, name: str, value: str) -> str:
    """The statement that sets an attribute to an expression's value."""
    return f"{holder}.{name} = {value}" if _is_plain(name) else f"setattr({holder}, {name!r}, {value})"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isascii() and not iskeyword(name)
