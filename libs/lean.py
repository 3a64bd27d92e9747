"""Importing libraries without the optional parts of theirs that this suite never uses."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Inside, importing `module` fails as if it were not installed, unless it is loaded already.

    Some libraries load rich for a console or a command line that no service has: 9 MB in every process.
    """
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment] # the documented way to make an import fail
    try:
        yield
    finally:
        del sys.modules[module]
