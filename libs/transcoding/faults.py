"""What is wrong with a request, before it becomes an error of the suite: the place is found while unwinding."""

from collections.abc import Sequence

from libs.errors import InvalidArgument, Violation

INVALID_REQUEST = "INVALID_REQUEST"


class Fault(Exception):
    """A value that cannot be taken. `path` grows from the inside out: each level puts its step in front."""

    def __init__(self, description: str, *, reason: str = "INVALID_VALUE", path: str = "") -> None:
        super().__init__(description)
        self.description = description
        self.reason = reason
        self.path = path

    def inside(self, step: str) -> "Fault":
        """The same fault, seen from one level further out: `step` is a field name or an `[index]`."""
        joiner = "." if self.path and not self.path.startswith("[") else ""
        self.path = f"{step}{joiner}{self.path}"
        return self


def refusal(*faults: Fault) -> InvalidArgument:
    """The error for these faults: the message tells the first, the violations tell all."""
    first = faults[0]
    message = f"{first.path}: {first.description}" if first.path else first.description
    return InvalidArgument(message, violations=_violations(faults), reason=INVALID_REQUEST)


def _violations(faults: Sequence[Fault]) -> list[Violation]:
    return [Violation(field=fault.path, description=fault.description, reason=fault.reason) for fault in faults]
