"""API keys: their form, and what is kept of them."""

import os
import re
from hashlib import sha256

import pytest

from services.config.domain.keys import AdminKeyUnusable, admin_key, given_admin_key, new_key


def test_a_new_key_is_lg_and_43_characters() -> None:
    assert re.fullmatch(r"lg_[A-Za-z0-9_-]{43}", new_key(os.urandom))


def test_only_the_digest_of_a_key_is_kept() -> None:
    assert admin_key("lg_sesame", title="admin").digest == sha256(b"lg_sesame").digest()


def test_a_key_has_the_scope_of_an_administrator() -> None:
    assert admin_key("lg_sesame", title="admin").scopes == ("ADMIN",)


def test_a_given_key_of_16_characters_is_accepted() -> None:
    assert given_admin_key("x" * 16).title == "LOCKGROOVE_ADMIN_KEY"


@pytest.mark.parametrize(
    "key", ["a key of two and more words", "schlüssel-schlüssel", "x" * 513, "line\nline-line-line", " " * 20]
)
def test_a_key_that_no_header_can_carry_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(AdminKeyUnusable, match="LOCKGROOVE_ADMIN_KEY"):
        given_admin_key(key)


def test_a_shorter_key_is_refused_without_being_told() -> None:
    with pytest.raises(AdminKeyUnusable, match="at least 16 characters") as caught:
        given_admin_key("qqqqqqqqqqqqqqq")

    assert "qqq" not in str(caught.value)
