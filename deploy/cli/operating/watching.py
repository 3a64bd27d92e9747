"""`lockgroove watch`: looks at a suite again and again in the first hour of a release, and says when it gets worse."""

import time
from collections.abc import Callable, Iterator, Mapping

import httpx

from deploy.cli.operating.exposition import Sample, samples
from deploy.cli.operating.window import Window, between
from deploy.cli.suite import SuiteUnreachable, suite_url

_TIMEOUT = 15.0  # seconds

Look = Callable[[], list[Sample]]


def watch(look: Look, *, total: float, every: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[Window]:
    """The windows, until `total` seconds are over. Raises what `look` does."""
    before = look()
    remaining = total
    while remaining > 0:
        step = min(every, remaining)
        sleep(step)
        remaining -= step
        after = look()
        yield between(before, after)
        before = after


def metrics_of(environment: Mapping[str, str]) -> Look:
    """Looks at `/api/metrics` of the suite; raises SuiteUnreachable, also for an answer that has none."""
    url = suite_url(environment)

    def look() -> list[Sample]:
        try:
            answer = httpx.get(f"{url}/api/metrics", timeout=_TIMEOUT, trust_env=False)
            return samples(answer.raise_for_status().text)
        except (httpx.HTTPError, ValueError) as error:
            raise SuiteUnreachable(f"nobody tells metrics at {url}: is the suite up?") from error

    return look
