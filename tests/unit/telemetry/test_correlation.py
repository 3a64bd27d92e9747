"""Traces and request ids as they come over the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.telemetry import correlation
from libs.telemetry.correlation import Trace, new_trace, valid_request_id
from libs.telemetry.tracing import LocalTracer

HEX = st.integers(1, 2**64 - 1)


@given(HEX, HEX, st.booleans())
def test_a_traceparent_comes_back_as_it_was_sent(trace: int, span: int, sampled: bool) -> None:
    sent = Trace(trace_id=f"{trace:032x}", span_id=f"{span:016x}", sampled=sampled)

    assert Trace.parse(sent.traceparent) == sent


@given(st.text(max_size=60))
def test_any_other_text_is_no_trace(text: str) -> None:
    assert Trace.parse(text) is None


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        f"00-{'0' * 32}-{'ab' * 8}-01",
        f"00-{'ab' * 16}-{'0' * 16}-01",
        f"00-{'AB' * 16}-{'ab' * 8}-01",
        f"01-{'ab' * 16}-{'ab' * 8}-01",
        f"00-{'ab' * 16}-{'ab' * 8}-01-more",
    ],
)
def test_what_the_standard_forbids_is_no_trace(wrong: str | None) -> None:
    assert Trace.parse(wrong) is None


def test_a_child_is_elsewhere_in_the_same_trace() -> None:
    above = new_trace()
    below = above.child()

    assert below.trace_id == above.trace_id
    assert below.span_id != above.span_id


@pytest.mark.parametrize("good", ["a", "A-Z_0.9", "x" * 64])
def test_a_request_id_in_order_is_kept(good: str) -> None:
    assert valid_request_id(good) == good


@pytest.mark.parametrize("bad", [None, "", "x" * 65, "a b", "a\n", "ä", "a/b", "١"])
def test_a_request_id_out_of_order_is_replaced(bad: str | None) -> None:
    assert valid_request_id(bad) not in (bad, "")


def test_a_span_is_the_current_one_inside_and_gone_behind() -> None:
    before = correlation.trace.get()
    with LocalTracer().span("outer", attributes={}):
        outer = correlation.trace.get()
        with LocalTracer().span("inner", attributes={}):
            inner = correlation.trace.get()

    assert outer is not None
    assert inner is not None
    assert inner.trace_id == outer.trace_id
    assert correlation.trace.get() is before


def test_a_span_goes_on_from_the_parent_that_is_named() -> None:
    parent = new_trace()
    with LocalTracer().span("work", parent=parent, attributes={}):
        current = correlation.trace.get()

    assert current is not None
    assert current.trace_id == parent.trace_id
