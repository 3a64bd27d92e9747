"""Durations as people write them."""

import re

import typer

_UNITS = {"s": 1, "m": 60, "h": 3600}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smh]?)")


def seconds(text: str) -> float:
    """Of `90`, `300s`, `5m` or `1h`. Raises typer.BadParameter."""
    match = _PART.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise typer.BadParameter(f"{text!r} is no duration: write 90, 300s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]
