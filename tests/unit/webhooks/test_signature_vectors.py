"""Signatures that others computed: from manuals, from test suites, and by hand."""

from datetime import UTC, datetime

import pytest

from services.webhooks.domain.verification.generic import Algorithm, Encoding, Hmac
from services.webhooks.domain.verification.providers import GitHub, Shopify, Slack, Stripe
from services.webhooks.domain.verification.scheme import Credentials, Scheme
from services.webhooks.domain.verification.standard import StandardWebhooks
from services.webhooks.sources.signatures import ed25519
from tests.support.lidarr_webhooks import delivery

SECRET = "lockgroove-test-secret"
BODY = b'{"eventType":"Grab","downloadId":"ABC123"}'
SHA256_HEX = "403dfdd2735fd43f43f6d4459a9547ce9b13332647e100a6ce26ebf0ae0e4c73"
SHA256_BASE64 = "QD390nNf1D9D9tRFmpVHzpsTMyZH4QCmzibr8K4OTHM="
SHA1_HEX = "eee0ec11c3613f82f9ea35244e7994c1980c153b"
STRIPE = "55a1612707bda59d2fd6b34da2cfe854e5e2d4369e6fa4bffec0a8289abff717"
SLACK = "7cd51b22464228e3df6c8905e0424e3bacf910580c31a2cca5353323a4a0a8c2"

VECTORS: dict[str, tuple[Scheme, dict[str, str]]] = {
    "github": (GitHub(), {"x-hub-signature-256": f"sha256={SHA256_HEX}"}),
    "shopify": (Shopify(), {"x-shopify-hmac-sha256": SHA256_BASE64}),
    "stripe": (Stripe(), {"stripe-signature": f"t=1700000000,v1={STRIPE}"}),
    "slack": (Slack(), {"x-slack-request-timestamp": "1700000000", "x-slack-signature": f"v0={SLACK}"}),
    "hex": (Hmac(header="x-mac"), {"x-mac": SHA256_HEX}),
    "upper-case hex": (Hmac(header="x-mac"), {"x-mac": SHA256_HEX.upper()}),
    "base64": (Hmac(header="x-mac", encoding=Encoding.BASE64), {"x-mac": SHA256_BASE64}),
    "sha1": (Hmac(header="x-mac", algorithm=Algorithm.SHA1, prefix="sha1="), {"x-mac": f"sha1={SHA1_HEX}"}),
}


@pytest.mark.parametrize("name", VECTORS)
def test_a_known_signature_passes(name: str) -> None:
    scheme, headers = VECTORS[name]

    verify(scheme, headers, secret=SECRET, body=BODY, at=1_700_000_000)


def test_standard_webhooks_with_our_key() -> None:
    headers = {
        "webhook-id": "evt_01",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,+9c9vE/jLQHFB20Tf/AP6bD7kuKigTeULR50RgEZ/mw=",
    }

    secret = "whsec_bG9ja2dyb292ZS10ZXN0LXNlY3JldC1wYWRkaW5n"
    verify(StandardWebhooks(ed25519=ed25519), headers, secret=secret, body=BODY, at=1_700_000_000)


@pytest.mark.parametrize("family", ["webhook", "svix"])
@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_standard_webhooks_own_vector(family: str, prefix: str) -> None:
    headers = {
        f"{family}-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        f"{family}-timestamp": "1614265330",
        f"{family}-signature": "v2,x v1,bm90IHRoaXMgb25l v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }

    secret = f"{prefix}MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    verify(StandardWebhooks(ed25519=ed25519), headers, secret=secret, body=body, at=1_614_265_330)


def test_the_sample_of_githubs_manual() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    verify(
        GitHub(), {"x-hub-signature-256": signature}, secret="It's a Secret to Everybody", body=b"Hello, World!", at=0
    )


def test_ed25519_knows_the_first_vector_of_rfc_8032() -> None:
    key = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    signature = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )

    assert ed25519(key, signature, b"")
    assert not ed25519(key, signature, b"x")
    assert not ed25519(key, signature[:-1], b"")
    assert not ed25519(key[:-1], signature, b"")


def verify(scheme: Scheme, headers: dict[str, str], *, secret: str, body: bytes, at: int) -> None:
    arrived = delivery(body, headers=list(headers.items()), received_at=datetime.fromtimestamp(at, UTC))
    scheme.verify(arrived, Credentials(secrets=[secret]))
