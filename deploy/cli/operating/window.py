"""What happened between two looks at the metrics, and whether that is good enough for a new release.

Counts are those of the window alone: a counter that is lower than before began again in between. What probes ask, and
streams, which last for hours, are no traffic of users.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deploy.cli.operating.exposition import Sample

HIGHEST_ERROR_RATE = 0.01
HIGHEST_P95 = 0.3  # seconds
HIGHEST_LAG = 30.0  # seconds

_REQUESTS = "lockgroove_http_requests_total"
_DURATIONS = "lockgroove_http_duration_seconds_bucket"
_UP = "lockgroove_up"
_LAGS = ("lockgroove_acquisition_backlog_age_seconds", "lockgroove_webhook_backlog_age_seconds")
_PROBES = frozenset({"/api/live", "/api/ready", "/api/health", "/api/metrics", "/live", "/ready", "/health"})
_PROBES_BELOW = "/api/health/"
_STREAM = ":watch"

Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What users met with. `p95` is None where nobody asked; `lag` is how long the oldest waits at the end."""

    requests: float
    errors: float
    p95: float | None
    lag: float
    silent: tuple[str, ...] = ()
    """Services that told nothing at the end."""

    @property
    def breaches(self) -> tuple[str, ...]:
        """What is not good enough."""
        return tuple(self._breaches())

    def _breaches(self) -> Iterator[str]:
        for service in self.silent:
            yield f"{service} tells no metrics"
        if self.requests and self.errors / self.requests > HIGHEST_ERROR_RATE:
            share = self.errors / self.requests
            yield f"{share:.1%} of {self.requests:g} requests failed (at most {HIGHEST_ERROR_RATE:.0%})"
        if self.p95 is not None and self.p95 > HIGHEST_P95:
            yield f"95 % of requests took up to {self.p95 * 1000:.0f} ms (at most {HIGHEST_P95 * 1000:.0f})"
        if self.lag > HIGHEST_LAG:
            yield f"the oldest in a queue waits for {self.lag:.0f} s (at most {HIGHEST_LAG:.0f})"


def between(before: Sequence[Sample], after: Sequence[Sample]) -> Window:
    """The window from one look to the next."""
    requests = list(_grown(before, after, _REQUESTS))
    buckets: dict[float, float] = defaultdict(float)
    for labels, count in _grown(before, after, _DURATIONS):
        buckets[float(labels["le"])] += count
    return Window(
        requests=sum(count for _, count in requests),
        errors=sum(count for labels, count in requests if labels.get("status", "").startswith("5")),
        p95=quantile(0.95, buckets),
        lag=max((each.value for each in after if each.name in _LAGS and not math.isnan(each.value)), default=0.0),
        silent=tuple(each.labels.get("service", "") for each in after if each.name == _UP and not each.value),
    )


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """The value below which this share is, of cumulative counts by upper bound; None of nothing."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return None
    rank, lower, below = share * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return lower  # beyond what the histogram tells apart
            return lower + (bound - lower) * (rank - below) / (buckets[bound] - below)
        lower, below = bound, buckets[bound]
    return None


def _grown(before: Iterable[Sample], after: Iterable[Sample], name: str) -> Iterator[tuple[Mapping[str, str], float]]:
    known = {_key(each): each.value for each in before if each.name == name}
    for each in after:
        if each.name == name and _is_traffic(each.labels.get("route", "")):
            was = known.get(_key(each), 0.0)
            yield each.labels, each.value - was if each.value >= was else each.value


def _is_traffic(route: str) -> bool:
    return route not in _PROBES and not route.startswith(_PROBES_BELOW) and not route.endswith(_STREAM)


def _key(sample: Sample) -> Key:
    return sample.name, frozenset(sample.labels.items())
