"""Headers that say what a caller takes, and how much he likes it: `Accept`, `Accept-Encoding` (RFC 9110, 12.4.2)."""

import re
from functools import lru_cache

from services.gateway.http.problems import NotAcceptable

LONGEST = 1024  # characters of a header that count: what was read is kept for the next one like it

_QUALITY = re.compile(r"q\s*=\s*([01](?:\.[0-9]{0,3})?)", re.ASCII)
_JSON = ("application/json", "application/*", "*/*")


def quality(header: str, *names: str) -> float | None:
    """How much the first of the names is wanted that the header holds, from 0 to 1; None where it holds none."""
    given = _weights(header[:LONGEST])
    return next((given[name] for name in names if name in given), None)


def check_json(accept: str) -> None:
    """Raises NotAcceptable when a header `Accept` admits no JSON; one that is empty or written wrongly admits all."""
    if accept and not _admits_json(accept[:LONGEST]):
        raise NotAcceptable("answers are application/json, and Accept does not admit it")


@lru_cache(256)
def _admits_json(accept: str) -> bool:
    return "/" not in accept or bool(quality(accept.lower(), *_JSON))


@lru_cache(256)
def _weights(header: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for item in header.split(","):
        name, _, parameters = item.partition(";")
        found = _QUALITY.search(parameters)
        weights.setdefault(name.strip(), min(float(found[1]), 1.0) if found else 1.0)
    return weights
