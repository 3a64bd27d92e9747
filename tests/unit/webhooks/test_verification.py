"""Verification: who may deliver, and that nobody learns why not."""

import base64
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.webhooks.domain.verification.plain import SharedSecret
from services.webhooks.domain.verification.refusal import CredentialRefused, SecretNotSet
from services.webhooks.domain.verification.scheme import Credentials
from tests.support.lidarr_webhooks import BODIES, delivery

SECRET = "correct-horse-battery-staple"
SCHEME = SharedSecret(header="x-webhook-secret")
BODY = BODIES["Grab"]
KNOWN = Credentials(secrets=[SECRET])
OPEN = Credentials(secrets=[], required=False)


def basic(password: str, user: str = "lidarr") -> tuple[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode("latin-1")).decode()
    return "authorization", f"Basic {token}"


def refused(*headers: tuple[str, str]) -> CredentialRefused:
    with pytest.raises(CredentialRefused) as caught:
        SCHEME.verify(delivery(BODY, headers=headers), KNOWN)
    return caught.value


def test_the_secret_in_its_header_passes() -> None:
    SCHEME.verify(delivery(BODY, headers=[("x-webhook-secret", SECRET)], remote_address="203.0.113.5"), KNOWN)


@pytest.mark.parametrize("user", ["lidarr", "", "anybody"])
def test_the_secret_as_basic_password_passes_whatever_the_user(user: str) -> None:
    SCHEME.verify(delivery(BODY, headers=[basic(SECRET, user)]), KNOWN)


def test_a_password_may_hold_colons() -> None:
    SCHEME.verify(delivery(BODY, headers=[basic("a:b:c")]), Credentials(secrets=["a:b:c"]))


def test_either_of_two_secrets_passes_during_rotation() -> None:
    SCHEME.verify(delivery(BODY, headers=[("x-webhook-secret", "new")]), Credentials(secrets=["old", "new"]))
    SCHEME.verify(delivery(BODY, headers=[("x-webhook-secret", "old")]), Credentials(secrets=["old", "new"]))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("x-webhook-secret", "")],
        [("x-webhook-secret", SECRET[:-1])],
        [("x-webhook-secret", SECRET + "x")],
        [("x-webhook-secret", SECRET.upper())],
        [("x-webhook-secret", "pässword \ud800")],
        [("x-webhook-secret", SECRET), ("x-webhook-secret", SECRET)],
        [("authorization", f"Bearer {SECRET}")],
        [("authorization", f"Basic {SECRET}")],
        [("authorization", "Basic ====")],
        [("authorization", "Basic")],
        [basic("wrong")],
        [basic(SECRET), basic(SECRET)],
    ],
)
def test_anything_else_gets_the_one_answer(headers: list[tuple[str, str]]) -> None:
    assert refused(*headers).message == "the webhook's credential is missing or wrong"


@given(st.text(ascii_letters + digits + "-é\ud800", min_size=1, max_size=80))
def test_no_other_text_is_the_secret(offered: str) -> None:
    if offered != SECRET:
        refused(("x-webhook-secret", offered))


def test_the_cause_is_kept_for_our_own_log() -> None:
    assert refused().cause == "missing"
    assert refused(("x-webhook-secret", "no")).cause == "mismatch"
    assert refused(basic(SECRET), basic(SECRET)).cause == "repeated header authorization"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_without_a_secret_this_machine_may_deliver(address: str) -> None:
    SCHEME.verify(delivery(BODY, remote_address=address), OPEN)


@pytest.mark.parametrize(
    "address", ["203.0.113.5", "192.168.1.2", "::ffff:203.0.113.5", "", "localhost", "127.0.0.1.evil"]
)
def test_without_a_secret_nobody_else_may(address: str) -> None:
    with pytest.raises(SecretNotSet):
        SCHEME.verify(delivery(BODY, remote_address=address), OPEN)


@pytest.mark.parametrize(
    "header", ["x-forwarded-for", "x-forwarded-proto", "forwarded", "via", "x-real-ip", "origin", "sec-fetch-site"]
)
def test_without_a_secret_a_proxy_or_browser_on_this_machine_does_not_count_as_this_machine(header: str) -> None:
    with pytest.raises(SecretNotSet):
        SCHEME.verify(delivery(BODY, headers=[(header, "203.0.113.5")]), OPEN)
