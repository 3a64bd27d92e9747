from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.reputation import (
    BLOCK,
    COUNTED,
    FORGIVEN_ONCE,
    SLOW,
    THRESHOLD,
    PeerRecord,
    is_remembered,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
STALLED = "TRANSFER_STALLED"


def failed(record: PeerRecord, *hours: float, reason: str = STALLED) -> PeerRecord:
    return reduce(lambda before, at: before.failed(reason, NOW + at * HOUR), hours, record)


PEER = PeerRecord(peer="ada")


def test_the_third_failure_in_a_day_blocks_for_a_day() -> None:
    assert not failed(PEER, 0, 1).is_blocked(NOW + HOUR)
    assert failed(PEER, 0, 1, 2).blocked_until == NOW + 2 * HOUR + BLOCK


def test_later_failures_do_not_make_the_block_longer() -> None:
    assert failed(PEER, 0, 1, 2, 3, 20).blocked_until == NOW + 2 * HOUR + BLOCK


def test_failures_of_yesterday_do_not_count() -> None:
    assert failed(PEER, 0, 1, 25).failures == 1


def test_a_block_ends_by_itself_and_the_count_begins_anew() -> None:
    after = failed(PEER, 0, 1, 2, 27)

    assert (after.failures, after.blocked_until) == (1, None)


def test_a_success_halves_the_count() -> None:
    healed = failed(PEER, 0, 1).delivered(5, NOW + 2 * HOUR)

    assert (healed.failures, healed.successes, healed.received_bytes) == (1, 1, 5)
    assert not failed(healed, 3).is_blocked(NOW + 3 * HOUR)


def test_a_success_lifts_a_block_that_has_no_longer_its_three() -> None:
    assert failed(PEER, 0, 1, 2).delivered(5, NOW + 3 * HOUR).blocked_until is None
    assert failed(PEER, 0, 1, 2, 3, 4, 5).delivered(5, NOW + 6 * HOUR).is_blocked(NOW + 6 * HOUR)


def test_a_block_by_hand_outlives_successes_and_failures() -> None:
    blocked = PEER.blocked(NOW + 100 * HOUR, "sends noise")

    assert failed(blocked, 0, 1, 2).delivered(5, NOW + 3 * HOUR).blocked_until == NOW + 100 * HOUR


def test_a_block_by_hand_without_an_end_lasts() -> None:
    assert PEER.blocked(None, "").at(NOW + 365_000 * HOUR).is_blocked(NOW + 365_000 * HOUR)


def test_an_end_of_the_block_by_hand_forgets_the_failures() -> None:
    free = failed(PEER, 0, 1, 2).unblocked()

    assert not failed(free, 3, 4).is_blocked(NOW + 4 * HOUR)


@pytest.mark.parametrize("reason", sorted(FORGIVEN_ONCE))
def test_what_happens_to_a_client_that_restarts_is_forgiven_once(reason: str) -> None:
    assert failed(PEER, 0, reason=reason).failures == 0
    assert failed(PEER, 0, 1, reason=reason).failures == 1


def test_of_all_that_may_be_a_restart_only_the_first_is_forgiven() -> None:
    broken, rejected = sorted(FORGIVEN_ONCE)

    assert failed(failed(failed(PEER, 0, reason=broken), 1, reason=rejected), 2, reason=broken).failures == 2


@pytest.mark.parametrize(
    "reason", ["PEER_OFFLINE", "QUEUE_TIMEOUT", "DISK_FULL", "SOULSEEK_DISCONNECTED", "SEARCH_LIMIT", "MISSING_TRACK"]
)
def test_what_is_not_the_peers_own_is_not_remembered(reason: str) -> None:
    assert not is_remembered(reason)


def test_a_slow_peer_is_asked_later_and_never_blocked() -> None:
    slow = failed(PEER, 0, 1, 2, 3, reason=SLOW)

    assert slow.blocked_until is None
    assert slow.penalty() > PEER.penalty()


def test_failures_cost_points() -> None:
    assert PEER.penalty() < failed(PEER, 0).penalty() < failed(PEER, 0, 1).penalty()


STEPS = st.tuples(st.sampled_from([*sorted(COUNTED), SLOW, "delivered"]), st.integers(0, 3600 * 30))


@given(st.lists(STEPS, max_size=30))
def test_no_block_lasts_longer_than_a_day_or_comes_before_three_failures(steps: list[tuple[str, int]]) -> None:
    record, now, counted = PEER, NOW, 0
    for what, seconds in steps:
        now += timedelta(seconds=seconds)
        record = record.delivered(1, now) if what == "delivered" else record.failed(what, now)
        counted += what in COUNTED

        assert (record.failures == 0) == (record.first_failure is None)
        if record.blocked_until is not None:
            assert counted >= THRESHOLD
            assert now < record.blocked_until <= now + BLOCK
