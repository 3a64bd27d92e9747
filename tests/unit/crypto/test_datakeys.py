"""Data keys under root keys: nothing of a row can be changed unseen, and each opens where its root key is known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.crypto import RootKeys, Tampered, WrongKey
from libs.crypto.datakeys import DataKey, Wrapping

roots = st.builds(RootKeys, current=st.binary(min_size=32, max_size=40))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2090, 1, 1)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
keys = st.builds(
    DataKey,
    purpose=st.text(min_size=1, max_size=20),
    state=st.sampled_from(["ACTIVE", "RETIRING"]),
    epoch=st.integers(0, 2**40),
    created_at=moments,
    secret=st.binary(min_size=32, max_size=32),
)


@given(keys, roots)
def test_a_key_opens_under_its_root_key(key: DataKey, known: RootKeys) -> None:
    assert Wrapping(known).open(Wrapping(known).row(key)) == key


@given(keys, roots, roots)
def test_a_key_opens_under_no_other_root_key(key: DataKey, known: RootKeys, other: RootKeys) -> None:
    row = Wrapping(known).row(key)

    if other != known:
        with pytest.raises(WrongKey):
            Wrapping(other).open(row)


@given(keys, roots, st.data())
def test_any_flipped_bit_of_a_sealed_key_is_detected(key: DataKey, known: RootKeys, data: st.DataObject) -> None:
    row = Wrapping(known).row(key)
    sealed = bytearray(row["sealed"])
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises((Tampered, WrongKey)):
        Wrapping(known).open({**row, "sealed": bytes(sealed)})


@given(keys, roots, st.sampled_from(["id", "purpose", "state", "epoch", "created_at"]), st.data())
def test_any_other_change_of_its_row_is_detected(
    key: DataKey, known: RootKeys, column: str, data: st.DataObject
) -> None:
    row = Wrapping(known).row(key)
    changed = data.draw(others(row[column]))

    with pytest.raises(Tampered):
        Wrapping(known).open({**row, column: changed})


@given(keys, keys, roots)
def test_a_sealed_key_that_was_moved_to_another_row_is_detected(one: DataKey, two: DataKey, known: RootKeys) -> None:
    rows = [Wrapping(known).row(key) for key in (one, two)]

    if one.context != two.context:
        with pytest.raises(Tampered):
            Wrapping(known).open({**rows[0], "sealed": rows[1]["sealed"]})


@given(keys, roots, roots)
def test_while_a_previous_root_key_is_known_either_opens_it(key: DataKey, old: RootKeys, new: RootKeys) -> None:
    row = Wrapping(RootKeys(current=new.current, previous=(old.current,))).row(key)

    assert Wrapping(old).open(row) == Wrapping(new).open(row) == key


@given(keys, keys, roots, roots)
def test_two_keys_in_one_row_are_refused(one: DataKey, two: DataKey, old: RootKeys, new: RootKeys) -> None:
    both = RootKeys(current=new.current, previous=(old.current,))
    rows = [Wrapping(both).row(key) for key in (one, two)]

    if one != two:
        with pytest.raises(Tampered):
            Wrapping(both).open({**rows[0], "sealed_before": rows[1]["sealed_before"]})


def test_no_key_shows() -> None:
    key = DataKey(purpose="records", state="ACTIVE", epoch=0, created_at=datetime.now(UTC), secret=b"s" * 32)
    known = RootKeys(current=b"r" * 32, previous=(b"p" * 32,))

    shown = repr(key) + repr(known) + repr(vars(Wrapping(known)))
    assert not any(letter * 8 in shown for letter in "srp")


def others(value: Any) -> st.SearchStrategy[Any]:
    """Other values than this one."""
    if isinstance(value, str):
        return st.text(max_size=20).filter(lambda each: each != value)
    if isinstance(value, int):
        return st.integers(0, 2**40).filter(lambda each: each != value)
    return st.integers(1, 10**9).map(lambda milliseconds: value + timedelta(milliseconds=milliseconds))
