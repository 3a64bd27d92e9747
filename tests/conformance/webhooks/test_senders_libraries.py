"""The senders' own libraries: what they sign we accept, and what they accept is what we take for signed."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import stripe
import svix.webhooks
from gidgethub import ValidationFailure, sansio
from slack_sdk.signature import SignatureVerifier

from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Credentials, Scheme
from tests.support.lidarr_webhooks import delivery
from tests.support.signers import SENDERS, Headers, Sender

BODY = '{"id":"evt_1","type":"ping","text":"ü€"}'
SECRET = "lockgroove-test-secret"
STANDARD_SECRET = "whsec_" + base64.b64encode(b"lockgroove-test-secret-padding").decode()
STALE = -timedelta(minutes=6)
EARLY = timedelta(minutes=6)


@pytest.fixture
def now() -> datetime:
    """The libraries judge by the real clock."""
    return datetime.now(UTC).replace(microsecond=0)


def sender(name: str) -> Sender:
    return next(each for each in SENDERS if each.name == name)


def signed_by_standardwebhooks(secret: str, moment: datetime) -> Headers:
    signature = standardwebhooks.Webhook(secret).sign("msg_1", moment, BODY)
    stamp = str(int(moment.timestamp()))
    return [("webhook-id", "msg_1"), ("webhook-timestamp", stamp), ("webhook-signature", signature)]


def signed_by_svix(secret: str, moment: datetime) -> Headers:
    signature = svix.webhooks.Webhook(secret).sign("msg_1", moment, BODY)
    stamp = str(int(moment.timestamp()))
    return [("svix-id", "msg_1"), ("svix-timestamp", stamp), ("svix-signature", signature)]


def signed_by_stripe(secret: str, moment: datetime) -> Headers:
    header = stripe.WebhookSignature.generate_signature_header(BODY, secret, int(moment.timestamp()))
    return [("stripe-signature", header)]


def signed_by_slack(secret: str, moment: datetime) -> Headers:
    stamp = str(int(moment.timestamp()))
    signature = SignatureVerifier(secret).generate_signature(timestamp=stamp, body=BODY)
    assert signature is not None
    return [("x-slack-request-timestamp", stamp), ("x-slack-signature", signature)]


SIGNERS: Mapping[str, Any] = {
    "standard": signed_by_standardwebhooks,
    "svix": signed_by_svix,
    "stripe": signed_by_stripe,
    "slack": signed_by_slack,
}


def secret_for(name: str) -> str:
    return STANDARD_SECRET if name in ("standard", "svix") else SECRET


def accepted(name: str, headers: Headers, body: str, secret: str) -> bool:
    """Whether the library takes it for signed."""
    try:
        return bool(_ACCEPTS[name](dict(headers), body, secret))
    except (
        standardwebhooks.WebhookVerificationError,
        svix.webhooks.WebhookVerificationError,
        stripe.SignatureVerificationError,
        ValidationFailure,
    ):
        return False


def _by_standardwebhooks(headers: dict[str, str], body: str, secret: str) -> bool:
    standardwebhooks.Webhook(secret).verify(body, headers)
    return True


def _by_svix(headers: dict[str, str], body: str, secret: str) -> bool:
    svix.webhooks.Webhook(secret).verify(body, headers)
    return True


def _by_stripe(headers: dict[str, str], body: str, secret: str) -> bool:
    return bool(stripe.WebhookSignature.verify_header(body, headers["stripe-signature"], secret, 300))


def _by_slack(headers: dict[str, str], body: str, secret: str) -> bool:
    return SignatureVerifier(secret).is_valid_request(body, headers)


def _by_gidgethub(headers: dict[str, str], body: str, secret: str) -> bool:
    sansio.validate_event(body.encode(), signature=headers["x-hub-signature-256"], secret=secret)
    return True


_ACCEPTS: Mapping[str, Any] = {
    "standard": _by_standardwebhooks,
    "svix": _by_svix,
    "stripe": _by_stripe,
    "slack": _by_slack,
    "github": _by_gidgethub,
}


def ours(scheme: Scheme, headers: Headers, *, body: str = BODY, secrets: list[str], at: datetime | None = None) -> bool:
    """Whether we take it for signed."""
    try:
        scheme.verify(
            delivery(body.encode(), headers=headers, received_at=at or datetime.now(UTC)), Credentials(secrets=secrets)
        )
    except CredentialRefused:
        return False
    return True


@pytest.mark.parametrize("name", SIGNERS)
def test_what_a_library_signs_we_accept(name: str, now: datetime) -> None:
    secret = secret_for(name)

    assert ours(sender(name).scheme, SIGNERS[name](secret, now), secrets=[secret])


@pytest.mark.parametrize("name", SIGNERS)
def test_what_a_library_signs_with_the_next_secret_we_accept_during_rotation(name: str, now: datetime) -> None:
    secret, before = secret_for(name), sender(name).secrets[1]

    assert ours(sender(name).scheme, SIGNERS[name](secret, now), secrets=[before, secret])
    assert ours(sender(name).scheme, SIGNERS[name](secret, now), secrets=[secret, before])
    assert not ours(sender(name).scheme, SIGNERS[name](secret, now), secrets=[before])


@pytest.mark.parametrize("name", SIGNERS)
@pytest.mark.parametrize("off", [STALE, EARLY])
def test_what_a_library_signed_at_another_time_we_refuse(name: str, off: timedelta, now: datetime) -> None:
    secret = secret_for(name)

    assert not ours(sender(name).scheme, SIGNERS[name](secret, now + off), secrets=[secret])


@pytest.mark.parametrize("name", SIGNERS)
def test_what_a_library_signed_and_somebody_changed_we_refuse(name: str, now: datetime) -> None:
    secret = secret_for(name)

    for position in range(len(BODY)):
        changed = BODY[:position] + "~" + BODY[position + 1 :]
        assert not ours(sender(name).scheme, SIGNERS[name](secret, now), body=changed, secrets=[secret])


@pytest.mark.parametrize("name", _ACCEPTS)
def test_what_we_take_for_signed_a_library_accepts(name: str, now: datetime) -> None:
    secret = secret_for(name)
    headers = sender(name).sign(secret, BODY.encode(), now)

    assert ours(sender(name).scheme, headers, secrets=[secret])
    assert accepted(name, headers, BODY, secret)


@pytest.mark.parametrize("name", _ACCEPTS)
def test_a_library_and_we_refuse_the_same(name: str, now: datetime) -> None:
    secret, another = secret_for(name), sender(name).secrets[1]
    headers = sender(name).sign(secret, BODY.encode(), now)

    assert not accepted(name, headers, BODY, another)
    assert not ours(sender(name).scheme, headers, secrets=[another])
    assert not accepted(name, headers, BODY + " ", secret)
    assert not ours(sender(name).scheme, headers, body=BODY + " ", secrets=[secret])


@pytest.mark.parametrize("name", ["standard", "svix", "slack"])
@pytest.mark.parametrize("off", [STALE, EARLY])
def test_a_library_and_we_refuse_the_same_times(name: str, off: timedelta, now: datetime) -> None:
    headers = sender(name).sign(secret_for(name), BODY.encode(), now + off)

    assert not accepted(name, headers, BODY, secret_for(name))
    assert not ours(sender(name).scheme, headers, secrets=[secret_for(name)])


def test_a_stale_signature_of_stripe_is_refused_by_its_library_and_by_us(now: datetime) -> None:
    headers = sender("stripe").sign(SECRET, BODY.encode(), now + STALE)

    assert not accepted("stripe", headers, BODY, SECRET)
    assert not ours(sender("stripe").scheme, headers, secrets=[SECRET])


def test_an_event_of_github_is_read_by_its_library_as_we_read_it(now: datetime) -> None:
    headers = dict(sender("github").sign(SECRET, BODY.encode(), now))
    told = headers | {"content-type": "application/json", "x-github-delivery": "72d3162e", "x-github-event": "ping"}

    event = sansio.Event.from_http(told, BODY.encode(), secret=SECRET)
    conventions = sender("github").scheme.conventions
    arrived = delivery(BODY.encode(), headers=list(told.items()))

    assert conventions.ids[0].find(arrived, {}) == event.delivery_id
    assert conventions.types[0].find(arrived, {}) == event.event
