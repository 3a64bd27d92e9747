"""Signatures: what holds for every scheme that signs, judged over the bytes as they came."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Credentials
from tests.support.lidarr_webhooks import NOON, delivery
from tests.support.signers import SENDERS, Headers, Sender

BODY = b'{"eventType":"Grab","downloadId":"ABC123"}'
TOLERANCE = timedelta(minutes=5)

TIMED = [sender for sender in SENDERS if sender.timed]


def verify(sender: Sender, headers: Headers, *, body: bytes = BODY, at: datetime = NOON, secret: str = "") -> None:
    known = Credentials(secrets=[secret or sender.secrets[0]])
    sender.scheme.verify(delivery(body, headers=headers, received_at=at), known)


def refused(sender: Sender, headers: Headers, *, body: bytes = BODY, at: datetime = NOON, secret: str = "") -> str:
    with pytest.raises(CredentialRefused) as caught:
        verify(sender, headers, body=body, at=at, secret=secret)
    assert caught.value.message == "the webhook's credential is missing or wrong"
    return caught.value.cause


def signed(sender: Sender, body: bytes = BODY) -> Headers:
    return sender.sign(sender.secrets[0], body, NOON)


def proving(sender: Sender) -> list[str]:
    """The headers that belong to the proof, and not to what senders say beside it."""
    return [name for name, _ in signed(sender) if name not in ("x-github-event", "x-shopify-topic")]


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_what_is_signed_passes(sender: Sender) -> None:
    verify(sender, signed(sender))


@pytest.mark.parametrize("sender", SENDERS, ids=str)
@pytest.mark.parametrize("body", [b"", b"\x00\xff\xfe", b"not json", b" " * 4096, "ü€𝄞".encode()])
def test_any_bytes_may_be_signed(sender: Sender, body: bytes) -> None:
    verify(sender, signed(sender, body), body=body)


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_another_secret_does_not_pass(sender: Sender) -> None:
    assert refused(sender, signed(sender), secret=sender.secrets[1]) == "mismatch"


@pytest.mark.parametrize("sender", SENDERS, ids=str)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_both_secrets_pass_during_rotation_in_either_order(sender: Sender, order: tuple[int, int]) -> None:
    known = Credentials(secrets=[sender.secrets[index] for index in order])

    sender.scheme.verify(delivery(BODY, headers=signed(sender)), known)


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_without_a_valid_secret_nothing_passes(sender: Sender) -> None:
    with pytest.raises(CredentialRefused):
        sender.scheme.verify(delivery(BODY, headers=signed(sender)), Credentials(secrets=[]))


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_every_byte_of_the_body_counts(sender: Sender) -> None:
    headers = signed(sender)

    for position in range(len(BODY)):
        for bit in (1, 0x20, 0x80):
            flipped = bytearray(BODY)
            flipped[position] ^= bit
            refused(sender, headers, body=bytes(flipped))
    for other in (BODY[:-1], BODY + b"\n", BODY + b"\x00", b""):
        refused(sender, headers, body=other)


@settings(max_examples=150, deadline=None)
@given(st.data())
@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_every_character_of_the_proof_counts(sender: Sender, data: st.DataObject) -> None:
    headers = signed(sender)
    name = data.draw(st.sampled_from(proving(sender)))
    value = dict(headers)[name]
    if name == "stripe-signature":
        value = value[: value.index(",v0=")]  # what follows does not count
    position = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=255).filter(lambda char: char != value[position]))
    tampered = value[:position] + other + value[position + 1 :]
    if sender.name == "generic-hex" and tampered.lower() == value:
        return  # hexadecimal is the same in both cases

    refused(sender, [(each, tampered if each == name else text) for each, text in headers])


@pytest.mark.parametrize("sender", SENDERS, ids=str)
def test_each_header_of_the_proof_is_needed_once(sender: Sender) -> None:
    headers = signed(sender)

    for name in proving(sender):
        without = [(each, value) for each, value in headers if each != name]
        assert "header" in refused(sender, without) or "cannot be read" in refused(sender, without)
        assert refused(sender, [*without, (name, "")]).startswith("missing header")
        assert refused(sender, [*headers, (name, dict(headers)[name])]) == f"repeated header {name}"


@pytest.mark.parametrize("sender", SENDERS, ids=str)
@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300))
def test_no_other_text_is_a_signature(sender: Sender, text: str) -> None:
    name = next(iter(sender.scheme.secret_headers & set(dict(signed(sender)))))

    refused(sender, [(each, text if each == name else value) for each, value in signed(sender)])


@pytest.mark.parametrize("sender", TIMED, ids=str)
@pytest.mark.parametrize("behind", [TOLERANCE, -TOLERANCE, timedelta()])
def test_the_time_may_be_off_by_the_tolerance(sender: Sender, behind: timedelta) -> None:
    verify(sender, signed(sender), at=NOON + behind)


@pytest.mark.parametrize("sender", TIMED, ids=str)
def test_the_time_is_judged_at_arrival_both_ways(sender: Sender) -> None:
    little = timedelta(milliseconds=1)

    assert refused(sender, signed(sender), at=NOON + TOLERANCE + little) == "stale timestamp"
    assert refused(sender, signed(sender), at=NOON - TOLERANCE - little) == "timestamp in the future"


@pytest.mark.parametrize("sender", TIMED, ids=str)
@pytest.mark.parametrize("text", ["1e9", "-1", "+1", "1.0", " 1", "0x1", "١٢٣", "9" * 14, "9" * 400, "1" + "\n", "²"])
def test_a_time_is_digits_and_nothing_else(sender: Sender, text: str) -> None:
    headers = signed(sender)
    moment = dict(headers).get("x-time") or str(int(NOON.timestamp()))

    refused(sender, [(name, value.replace(moment, text)) for name, value in headers])


@pytest.mark.parametrize("sender", [each for each in SENDERS if not each.timed], ids=str)
def test_without_a_signed_time_an_old_signature_still_holds(sender: Sender) -> None:
    verify(sender, signed(sender), at=NOON + timedelta(days=30))
