"""Places: where a value stands in a delivery, `header:x-github-event` or `body:event.type`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import Document


class Place(Protocol):
    """Where a value may stand."""

    def find(self, delivery: Delivery, document: Document) -> str:
        """The value as text; empty where there is none, or more than one."""
        ...


@dataclass(frozen=True, slots=True)
class HeaderPlace:
    """A header, in lower case."""

    name: str

    def find(self, delivery: Delivery, document: Document) -> str:
        """The value of a header that came once."""
        values = delivery.values(self.name)
        return values[0] if len(values) == 1 else ""


@dataclass(frozen=True, slots=True)
class BodyPlace:
    """A text or a whole number in a JSON object, below the names of `steps`."""

    steps: tuple[str, ...]

    def find(self, delivery: Delivery, document: Document) -> str:
        """The value at the end of the steps."""
        value: object = document
        for step in self.steps:
            value = value.get(step) if isinstance(value, dict) else None
        if isinstance(value, bool) or not isinstance(value, str | int):
            return ""
        return str(value)


def header(name: str) -> Place:
    """A header by its name in any case."""
    return HeaderPlace(name.lower())


def body(path: str) -> Place:
    """A value of a JSON body: `data.id`."""
    return BodyPlace(tuple(path.split(".")))


def place(path: str) -> Place:
    """The place in `header:…` or `body:…`."""
    kind, _, rest = path.partition(":")
    return header(rest) if kind == "header" else body(rest)


def first(places: Iterable[Place], delivery: Delivery, document: Document) -> str:
    """The first value that is found; empty where there is none."""
    return next((found for each in places if (found := each.find(delivery, document))), "")
