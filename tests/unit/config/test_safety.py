"""Which limit forbids an action first, and how long to wait."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.domain.safety import BURST, Limits, Reason, Switch, Usage, judged

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(per_target_and_day=1, per_user_and_burst=1, per_user_and_hour=1, failures=3)
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


def test_settings_that_cannot_be_read_forbid() -> None:
    limits = Limits.from_texts({})

    assert limits.dry_run
    assert not judged(Usage(), limits, switch=Switch.OFF, now=NOW).allowed
