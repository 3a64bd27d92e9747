"""Sealed records open under their own key and context, unchanged, and in no other way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.crypto import Keyring, Tampered, WrongKey
from libs.errors import AppError

RING = Keyring.from_secret(b"a root key for tests, 32 characters or more")
OTHER = Keyring.from_secret(b"another root key for tests, just as long as that")


@given(st.binary(max_size=500), st.text(max_size=50))
def test_what_was_sealed_opens_under_its_context(plaintext: bytes, context: str) -> None:
    assert RING.open(RING.seal(plaintext, context=context), context=context) == plaintext


@given(st.binary(max_size=100), st.text(max_size=20), st.text(max_size=20))
def test_a_record_does_not_open_under_another_context(plaintext: bytes, context: str, other: str) -> None:
    sealed = RING.seal(plaintext, context=context)

    if other != context:
        with pytest.raises(Tampered):
            RING.open(sealed, context=other)


@given(st.binary(max_size=50), st.data())
def test_any_flipped_bit_is_detected(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(RING.seal(plaintext, context="a"))
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[bit // 8] ^= 1 << bit % 8

    with pytest.raises((Tampered, WrongKey)):
        RING.open(bytes(sealed), context="a")


@given(st.binary(max_size=60))
def test_what_is_no_record_is_refused(junk: bytes) -> None:
    with pytest.raises((Tampered, WrongKey)):
        RING.open(junk, context="a")


def test_every_shortened_record_is_refused() -> None:
    sealed = RING.seal(b"secret", context="a")

    for length in range(len(sealed)):
        with pytest.raises(Tampered):
            RING.open(sealed[:length], context="a")


def test_another_key_is_named_as_the_cause_with_what_to_do() -> None:
    sealed = RING.seal(b"secret", context="settings/lidarr.api_key")

    with pytest.raises(WrongKey, match=r"settings/lidarr\.api_key was encrypted with another key: start with the LOCK"):
        OTHER.open(sealed, context="settings/lidarr.api_key")


def test_a_retired_key_still_opens_what_it_sealed() -> None:
    old, new = b"o" * 32, b"n" * 32
    sealed = Keyring.from_secret(old).seal(b"secret", context="a")

    assert Keyring.from_secret(new, old).open(sealed, context="a") == b"secret"


def test_new_records_are_sealed_with_the_current_key_alone() -> None:
    old, new = b"o" * 32, b"n" * 32
    sealed = Keyring.from_secret(new, old).seal(b"secret", context="a")

    assert Keyring.from_secret(new).open(sealed, context="a") == b"secret"


def test_the_same_secret_is_never_sealed_to_the_same_record() -> None:
    assert len({RING.seal(b"secret", context="a") for _ in range(100)}) == 100


def test_repr_shows_no_key() -> None:
    key = bytes(range(32))
    ring = Keyring(key)

    shown = repr(ring) + repr(ring._keys) + str(vars(ring))
    assert key.hex() not in shown
    assert repr(key) not in shown


def test_errors_say_nothing_of_the_secret() -> None:
    sealed = RING.seal(b"hunter2", context="a")

    with pytest.raises(AppError) as caught:
        RING.open(sealed[:-1] + b"\x00", context="b")
    assert "hunter2" not in str(caught.value)
