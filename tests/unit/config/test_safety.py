"""Which limit forbids an action first, and how long to wait."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.domain.safety import BURST, Limits, Reason, Switch, Usage, judged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(per_target_and_day=1, per_user_and_burst=1, per_user_and_hour=1, failures=3)
TEXTS = {
    "automation.target_daily_limit": "2",
    "automation.user_burst_limit": "50",
    "automation.user_hourly_limit": "200",
    "automation.oauth_failure_threshold": "3",
}
USED = Usage(on_target=(NOW,), for_user=(NOW,), failures=3)


@pytest.mark.parametrize(
    ("usage", "switch", "reason"),
    [
        (USED, Switch.ON, Reason.KILL_SWITCH),
        (USED, Switch.UNKNOWN, Reason.ERROR),
        (USED, Switch.OFF, Reason.OAUTH_FAILURES),
        (Usage(paused=True), Switch.OFF, Reason.OAUTH_FAILURES),
        (Usage(on_target=(NOW,), for_user=(NOW,)), Switch.OFF, Reason.TARGET_DAILY),
        (Usage(for_user=(NOW,)), Switch.OFF, Reason.USER_BURST),
        (Usage(for_user=(NOW - BURST,)), Switch.OFF, Reason.USER_HOURLY),
        (Usage(), Switch.OFF, Reason.WITHIN_LIMITS),
    ],
)
def test_the_first_that_forbids_is_the_reason(usage: Usage, switch: Switch, reason: Reason) -> None:
    verdict = judged(usage, LIMITS, switch=switch, now=NOW)

    assert verdict.reason is reason
    assert verdict.allowed is (reason is Reason.WITHIN_LIMITS)
    assert verdict.message


@given(st.lists(st.integers(0, 299), max_size=20), st.integers(1, 5))
def test_after_the_wait_that_is_told_it_is_allowed_and_not_sooner(ages: list[int], limit: int) -> None:
    usage = Usage(for_user=tuple(NOW - timedelta(seconds=age) for age in sorted(ages)))
    limits = Limits(per_user_and_burst=limit, per_user_and_hour=1000)

    verdict = judged(usage, limits, switch=Switch.OFF, now=NOW)

    assert verdict.allowed is (len(ages) < limit)
    if verdict.retry_after is not None:
        soon = NOW + verdict.retry_after
        assert judged(usage, limits, switch=Switch.OFF, now=soon).allowed
        assert not judged(usage, limits, switch=Switch.OFF, now=soon - timedelta(milliseconds=1)).allowed


@pytest.mark.parametrize("unreadable", TEXTS)
def test_a_limit_that_cannot_be_read_forbids_and_is_told_to_be_an_error(unreadable: str) -> None:
    limits = Limits.from_texts({path: text for path, text in TEXTS.items() if path != unreadable})

    assert judged(Usage(), limits, switch=Switch.OFF, now=NOW).reason is Reason.ERROR


def test_a_dry_run_that_cannot_be_read_is_one() -> None:
    assert Limits.from_texts(TEXTS).dry_run
