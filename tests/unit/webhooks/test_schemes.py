"""Schemes: what is peculiar to each."""

import pytest

from libs.errors import InvalidArgument
from services.webhooks.domain.verification.generic import Encoding, Hmac
from services.webhooks.domain.verification.plain import Basic, HeaderToken, Loopback, SecretUrl
from services.webhooks.domain.verification.providers import GitHub, Stripe, slack_challenge
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Credentials, Scheme
from services.webhooks.domain.verification.standard import StandardWebhooks
from services.webhooks.sources.signatures import ed25519
from tests.support.lidarr_webhooks import NOON, delivery
from tests.support.signers import PUBLIC_KEY, Headers, b64, mac, seconds, standard, standard_v1a, stripe

BODY = b'{"id": 1}'
SECRET = "correct-horse-battery-staple"
WHSEC = "whsec_bG9ja2dyb292ZS10ZXN0LXNlY3JldC1wYWRkaW5n"
STANDARD = StandardWebhooks(ed25519=ed25519)


def passes(scheme: Scheme, headers: Headers, *secrets: str) -> None:
    scheme.verify(
        delivery(BODY, headers=headers, remote_address="203.0.113.5"), Credentials(secrets=secrets or [SECRET])
    )


def refused(scheme: Scheme, headers: Headers, *secrets: str) -> str:
    with pytest.raises(CredentialRefused) as caught:
        passes(scheme, headers, *secrets)
    return caught.value.cause


def replaced(headers: Headers, name: str, value: str) -> Headers:
    return [(each, value if each == name else text) for each, text in headers]


@pytest.mark.parametrize("message_id", ["msg.1", "a b", "ä", "x" * 257, "a\tb", "a\x7f"])
def test_an_id_that_makes_the_signed_content_ambiguous_is_refused(message_id: str) -> None:
    assert refused(STANDARD, standard(WHSEC, BODY, NOON, message_id=message_id), WHSEC) == "webhook-id is no id"


def test_a_long_id_passes() -> None:
    passes(STANDARD, standard(WHSEC, BODY, NOON, message_id="x" * 256), WHSEC)


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_an_id_that_nobody_signed_does_not_stand_beside_the_signed_one(family: str) -> None:
    headers = [(name.replace("webhook", family), value) for name, value in standard(WHSEC, BODY, NOON, message_id="m")]
    other = {"webhook": "svix-id", "svix": "webhook-id"}[family]

    assert refused(STANDARD, [*headers, (other, "new")], WHSEC) == "two ids"
    passes(STANDARD, [*headers, (other, "m")], WHSEC)


def test_any_signature_of_many_passes_up_to_a_limit() -> None:
    headers = standard(WHSEC, BODY, NOON)
    right = dict(headers)["webhook-signature"]

    passes(STANDARD, replaced(headers, "webhook-signature", " ".join(["v1,eA==", "v9,x", "", "x,y,z", right])), WHSEC)
    many = " ".join([*["v1,eA=="] * 16, right])
    assert refused(STANDARD, replaced(headers, "webhook-signature", many), WHSEC) == "too many signatures"


def test_an_ed25519_signature_is_no_hmac_and_the_other_way_round() -> None:
    signed = standard_v1a("", BODY, NOON)
    hmac_signed = standard(WHSEC, BODY, NOON)

    assert refused(STANDARD, replaced(signed, "webhook-signature", dict(signed)["webhook-signature"][4:]), PUBLIC_KEY)
    assert refused(STANDARD, signed, WHSEC) == "mismatch"
    assert refused(STANDARD, hmac_signed, PUBLIC_KEY) == "mismatch"
    passes(STANDARD, signed, WHSEC, PUBLIC_KEY)
    passes(STANDARD, hmac_signed, WHSEC, PUBLIC_KEY)


def test_the_public_key_is_no_shared_secret() -> None:
    forged = standard("whsec_" + PUBLIC_KEY.removeprefix("whpk_"), BODY, NOON)

    assert refused(STANDARD, forged, PUBLIC_KEY) == "mismatch"


def test_githubs_older_signature_counts_for_nothing() -> None:
    assert refused(GitHub(), [("x-hub-signature", "sha1=" + mac(SECRET, BODY, "sha1").hex())]).startswith("missing")


def test_githubs_signature_is_in_lower_case() -> None:
    assert refused(GitHub(), [("x-hub-signature-256", "sha256=" + mac(SECRET, BODY).hex().upper())]) == "mismatch"


def test_stripe_may_sign_with_two_secrets_but_at_one_time() -> None:
    scheme = Stripe()
    value = dict(stripe(SECRET, BODY, NOON))["stripe-signature"]

    passes(scheme, [("stripe-signature", value.replace(",v1=", f",v1={'0' * 64},v1="))])
    assert "cannot be read" in refused(scheme, [("stripe-signature", f"t={seconds(NOON)},{value}")])
    assert "cannot be read" in refused(scheme, [("stripe-signature", value + ",v1=0" * 16)])
    assert refused(scheme, [("stripe-signature", value.replace("v1=", "v0="))]) == "mismatch"


def test_basic_needs_the_user_and_the_password() -> None:
    scheme = Basic(username="lidarr")

    passes(scheme, [basic("lidarr", SECRET)])
    passes(scheme, [basic("lidarr", "new")], "old", "new")
    for wrong in [basic("Lidarr", SECRET), basic("", SECRET), basic("lidarr", ""), basic("lidarr", SECRET + "x")]:
        assert refused(scheme, [wrong]) == "mismatch"
    for wrong in [("authorization", f"Bearer {SECRET}"), ("authorization", "Basic !"), ("x", "y")]:
        assert refused(scheme, [wrong]) == "mismatch"
    assert refused(scheme, [basic("lidarr", SECRET)] * 2) == "repeated header authorization"


def test_a_header_token_stands_behind_its_prefix() -> None:
    scheme = HeaderToken(header="authorization", prefix="Bearer ")

    passes(scheme, [("authorization", f"Bearer {SECRET}")])
    for wrong in [SECRET, f"bearer {SECRET}", f"Bearer  {SECRET}", "Bearer ", f"Bearer {SECRET} "]:
        assert refused(scheme, [("authorization", wrong)]) == "mismatch"
    assert refused(scheme, []) == "missing header authorization"


def test_a_secret_address_passes_with_its_secret_alone() -> None:
    arrived = delivery(BODY, url_secret=SECRET, remote_address="203.0.113.5")

    SecretUrl().verify(arrived, Credentials(secrets=["old", SECRET]))
    with pytest.raises(CredentialRefused):
        SecretUrl().verify(arrived, Credentials(secrets=["old"]))


def test_loopback_is_this_machine() -> None:
    Loopback().verify(delivery(BODY), Credentials(secrets=[]))
    assert refused(Loopback(), []) == "not this machine"


@pytest.mark.parametrize("padded", [True, False])
def test_base64_for_addresses_may_be_padded(padded: bool) -> None:
    scheme = Hmac(header="x-mac", encoding=Encoding.BASE64_URL)
    written = b64(mac(SECRET, BODY)).replace("+", "-").replace("/", "_")

    passes(scheme, [("x-mac", written if padded else written.rstrip("="))])
    assert refused(scheme, [("x-mac", written + "=")]) == "mismatch"


def test_an_id_that_could_be_read_in_two_ways_is_refused() -> None:
    scheme = Hmac(header="x-mac", content="{id}.{body}", id_header="x-id")
    signature = mac(SECRET, b"a.b." + BODY).hex()

    assert refused(scheme, [("x-id", "a.b"), ("x-mac", signature)]) == "x-id is no id"


def test_what_is_no_placeholder_is_signed_as_it_stands() -> None:
    scheme = Hmac(header="x-mac", content="v0|{timestamp}|{body}", timestamp_header="x-time")
    stamp = seconds(NOON)

    passes(scheme, [("x-time", stamp), ("x-mac", mac(SECRET, f"v0|{stamp}|".encode() + BODY).hex())])


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"content": "{id}.{body}"}, "id_header"),
        ({"content": "{timestamp}.{body}"}, "timestamp_header"),
        ({"timestamp_header": "x-time"}, "timestamp_header"),
        ({"content": "{body}."}, "content"),
        ({"content": "nothing"}, "content"),
        ({"content": "{body}{body}"}, "content"),
        ({"content": "{nonce}{body}"}, "content"),
        ({"content": "{id}{body}", "id_header": "x-id"}, "content"),
        ({"content": "{id}{timestamp}.{body}", "id_header": "x-id", "timestamp_header": "x-time"}, "content"),
        ({"content": "{timestamp}{id}.{body}", "id_header": "x-id", "timestamp_header": "x-time"}, "content"),
        ({"header": ""}, "header"),
    ],
)
def test_a_configuration_that_proves_nothing_is_refused_by_its_field(config: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Hmac(**{"header": "x-mac"} | config)  # type: ignore[arg-type] # all of them are texts

    assert [violation.field for violation in caught.value.violations] == [f"verification.hmac.{field}"]


@pytest.mark.parametrize(
    ("document", "challenge"),
    [
        ({"type": "url_verification", "challenge": "3eZbrw1aB10"}, "3eZbrw1aB10"),
        ({"type": "event_callback", "challenge": "3eZbrw1aB10"}, ""),
        ({"type": "url_verification", "challenge": 5}, ""),
        ({"type": "url_verification", "challenge": "x" * 501}, ""),
        ({"type": "url_verification", "challenge": "a\nb"}, ""),
        ({}, ""),
    ],
)
def test_slack_is_challenging_in_one_way(document: dict[str, object], challenge: str) -> None:
    assert slack_challenge(document) == challenge


def basic(user: str, password: str) -> tuple[str, str]:
    return "authorization", "Basic " + b64(f"{user}:{password}".encode())
