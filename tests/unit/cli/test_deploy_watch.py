"""`lockgroove watch` counts what happened in a window, over two looks at the metrics, and nothing from before."""

import math

import pytest

from deploy.cli.operating.durations import seconds
from deploy.cli.operating.exposition import Sample, samples
from deploy.cli.operating.watching import watch
from deploy.cli.operating.window import Window, between, quantile

_BOUNDS = ("0.1", "0.25", "0.5", "+Inf")


def look(ok: int = 0, failed: int = 0, buckets: tuple[int, int, int, int] = (0, 0, 0, 0), **more: str) -> list[Sample]:
    """Metrics of so many requests ever, so many of them by their duration."""
    route = more.get("route", "/api/v1/events")
    told = [
        f'lockgroove_http_requests_total{{method="GET",route="{route}",status="200"}} {ok}',
        f'lockgroove_http_requests_total{{method="GET",route="{route}",status="503"}} {failed}',
        f'lockgroove_webhook_backlog_age_seconds{{service="webhooks"}} {more.get("lag", "0")}',
        f'lockgroove_up{{service="config"}} {more.get("up", "1")}',
        *(
            f'lockgroove_http_duration_seconds_bucket{{route="{route}",le="{bound}"}} {count}'
            for bound, count in zip(_BOUNDS, buckets, strict=True)
        ),
    ]
    return samples("\n".join([*told, ""]))


def test_what_was_before_the_window_does_not_count() -> None:
    before = look(ok=10_000, failed=9_000, buckets=(0, 0, 0, 10_000))
    after = look(ok=10_100, failed=9_001, buckets=(101, 101, 101, 10_101))

    window = between(before, after)

    assert (window.requests, window.errors, window.breaches) == (101, 1, ())
    assert window.p95 == pytest.approx(0.095)


def test_more_than_one_error_in_a_hundred_is_a_breach() -> None:
    assert between(look(), look(ok=99, failed=1)).breaches == ()
    (breach,) = between(look(), look(ok=98, failed=2)).breaches

    assert breach.startswith("2.0% of 100 requests")


def test_slow_answers_are_a_breach() -> None:
    window = between(look(), look(buckets=(90, 90, 100, 100)))

    assert window.p95 == pytest.approx(0.375)
    assert len(window.breaches) == 1


def test_a_queue_that_waits_and_a_service_that_is_silent_are_breaches() -> None:
    (lag,) = between(look(), look(lag="31")).breaches
    (silent,) = between(look(), look(up="0")).breaches

    assert "31 s" in lag
    assert silent == "config tells no metrics"


def test_counters_that_began_again_count_from_nothing() -> None:
    assert between(look(ok=500), look(ok=20)).requests == 20


@pytest.mark.parametrize("route", ["/api/live", "/api/health/ready", "/api/v1/acquisitions:watch"])
def test_probes_and_streams_are_no_traffic(route: str) -> None:
    window = between(look(), look(failed=50, buckets=(0, 0, 0, 50), route=route))

    assert window == Window(requests=0, errors=0, p95=None, lag=0)


def test_a_quantile_beyond_the_last_bound_is_that_bound() -> None:
    assert quantile(0.95, {0.1: 10, 0.5: 10, math.inf: 100}) == 0.5


def test_windows_follow_each_other_until_the_time_is_over() -> None:
    looks = iter([look(ok=0), look(ok=5), look(ok=7), look(ok=8)])
    slept: list[float] = []

    windows = list(watch(lambda: next(looks), total=25, every=10, sleep=slept.append))

    assert [window.requests for window in windows] == [5, 2, 1]
    assert slept == [10, 10, 5]


def test_durations_are_told_as_people_write_them() -> None:
    assert [seconds(text) for text in ("90", "300s", "5m", "1h")] == [90, 300, 300, 3600]
