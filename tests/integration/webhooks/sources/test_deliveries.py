"""Deliveries to sources that were made at run time: what becomes of each."""

import pytest
from lockgroove.webhooks.v1 import sources_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2 as events

from libs import ids
from libs.errors import InvalidArgument, NotFound
from tests.integration.webhooks.sources.door import (
    BODY,
    LOOPBACK,
    SECRET,
    SECRET_URL,
    SLACK,
    STANDARD,
    TOKEN,
    WHSEC,
    Door,
    now,
)
from tests.support.signers import Headers, slack, standard
from tests.support.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_disabled_source_is_stored_and_ignored(doors: Door) -> None:
    await doors.create("off", LOOPBACK)
    changed = await doors.sources.UpdateSource(
        pb.UpdateSourceRequest(source=pb.Source(name="sources/off", disabled=True))
    )

    outcome = await doors.deliver("off", [], address="127.0.0.1")

    event = await doors.webhooks.reaches(outcome.event_id, events.Event.IGNORED)
    assert changed.state == pb.Source.DISABLED
    assert event.body == BODY
    assert (await doors.refusal("off", [])).code_reason == "WEBHOOK_CREDENTIAL_REFUSED"


async def test_a_secret_address_is_all_that_anybody_knows_of_its_source(doors: Door) -> None:
    made = await doors.create("door", SECRET_URL)
    secret = made.issued_secret

    await doors.deliver("door", [], url_secret=secret)
    unknown = await doors.refusal("nowhere", [])
    refusals = [
        await doors.refusal("door", []),
        await doors.refusal("door", [], url_secret=secret[:-1]),
        await doors.refusal("door", [], url_secret="wrong"),
        await doors.refusal("lidarr", [], address="127.0.0.1", url_secret="wrong"),
    ]

    assert {(type(each), each.code_reason) for each in refusals} == {(type(unknown), unknown.code_reason)}
    assert refusals[0].message.replace("door", "nowhere") == unknown.message
    with pytest.raises(NotFound):
        await doors.webhooks.internal.VerifySource(events.VerifySourceRequest(source="door"))


async def test_an_event_is_known_by_its_id_wherever_it_stands(doors: Door) -> None:
    await doors.create("paths", LOOPBACK, dedup_paths=["header:X-Nonce", "body:data.id"], type_path="body:data.kind")

    async def deliver(headers: Headers, body: bytes) -> events.DeliveryOutcome:
        return await doors.deliver("paths", headers, body, address="127.0.0.1")

    first = await deliver([("x-nonce", "n-1")], b'{"data": {"id": 7, "kind": "made"}}')
    replayed = await deliver([("x-nonce", "n-1")], b'{"data": {"id": 7, "kind": "made"}}')
    by_body = await deliver([], b'{"data": {"id": 7, "kind": "made"}}')
    same_id = await deliver([], b'{"data": {"id": 7, "kind": "made"}}')
    no_id = await deliver([], b"{}")
    same_bytes = await deliver([], b"{}")

    assert (replayed.duplicate, replayed.event_id) == (True, first.event_id)
    assert (by_body.duplicate, same_id.duplicate, same_id.event_id) == (False, True, by_body.event_id)
    assert (no_id.duplicate, same_bytes.event_id) == (False, no_id.event_id)
    assert (await doors.webhooks.get(first.event_id)).type == "made"


async def test_standard_webhooks_are_known_by_their_id_and_by_nothing_else(doors: Door) -> None:
    await doors.create("std", STANDARD, secret=WHSEC)
    body = b'{"type": "invoice.paid"}'

    first = await doors.deliver("std", standard(WHSEC, body, now(), message_id="m-1"), body)
    again = await doors.deliver("std", standard(WHSEC, body, now(), message_id="m-1"), body)
    other = await doors.deliver("std", standard(WHSEC, body, now(), message_id="m-2"), body)

    assert (again.event_id, again.duplicate) == (first.event_id, True)
    assert other.event_id != first.event_id
    assert (await doors.webhooks.get(first.event_id)).type == "invoice.paid"


async def test_slacks_challenge_is_answered_after_its_signature_held_and_stored(doors: Door) -> None:
    await doors.create("chat", SLACK, secret=SECRET)
    body = b'{"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB10"}'

    outcome = await doors.deliver("chat", slack(SECRET, body, now()), body)
    again = await doors.deliver("chat", slack(SECRET, body, now()), body)
    refused = await doors.refusal("chat", slack("another-secret", body, now()), body)

    assert (outcome.challenge, again.challenge, again.duplicate) == ("3eZbrw1aB10", "3eZbrw1aB10", True)
    assert (await doors.webhooks.get(outcome.event_id)).type == "url_verification"
    assert "3eZbrw1aB10" not in str(refused)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"\xff", b'{"a": NaN}', b"[" * 100_000])
async def test_json_may_be_demanded(doors: Door, body: bytes) -> None:
    name = ids.new("strict")
    await doors.create(name, LOOPBACK, json_required=True)

    error = await doors.refusal(name, [], body, address="127.0.0.1")

    assert (type(error), error.code_reason) == (InvalidArgument, "BODY_UNREADABLE")


@pytest.mark.parametrize(
    ("kind", "body", "state"),
    [
        ("application/json", b"{", events.Event.DEAD),
        ("application/cloudevents+json; charset=utf-8", b"nothing", events.Event.DEAD),
        ("", b'{"half": ', events.Event.DEAD),
        ("", b"plain text", events.Event.DONE),
        ("application/x-www-form-urlencoded", b"{", events.Event.DONE),
        ("application/json", b'{"whole": 1}', events.Event.DONE),
    ],
)
async def test_a_body_that_claims_to_be_json_and_is_not_is_kept_and_dead(
    doors: Door, kind: str, body: bytes, state: events.Event.State.ValueType
) -> None:
    name = ids.new("lax")
    await doors.create(name, LOOPBACK)

    outcome = await doors.deliver(name, [("content-type", kind)] if kind else [], body, address="127.0.0.1")

    event = await doors.webhooks.reaches(outcome.event_id, state)
    assert event.body == body
    assert event.reason == ("UNREADABLE" if state == events.Event.DEAD else "")


async def test_refused_deliveries_are_listed_without_bodies_and_secrets(doors: Door) -> None:
    await doors.create("listed", TOKEN, secret=SECRET)
    await doors.refusal("listed", [("x-token", "wrong-but-secret"), ("user-agent", "curl"), ("x-odd", "private")])
    await doors.refusal("nowhere-listed", [])

    async def listed() -> list[pb.Rejection] | None:
        both = 'source = "listed" OR source = "nowhere-listed"'
        found = await doors.sources.ListRejections(pb.ListRejectionsRequest(filter=both))
        return list(found.rejections) if len(found.rejections) == 2 else None

    second, first = await eventually(listed)
    assert (first.source, first.reason, first.cause) == ("listed", "WEBHOOK_CREDENTIAL_REFUSED", "mismatch")
    assert (first.remote_address, first.body_size_bytes) == ("203.0.113.5", len(BODY))
    assert first.headers == {"x-token": "[redacted]", "user-agent": "curl", "x-odd": "[redacted]"}
    assert (second.source, second.reason) == ("nowhere-listed", "SOURCE_UNKNOWN")
    only = await doors.sources.ListRejections(pb.ListRejectionsRequest(filter='source = "listed"', page_size=1))
    assert [each.source for each in only.rejections] == ["listed"]


@pytest.mark.parametrize(
    ("verification", "required"), [(LOOPBACK, False), (TOKEN, True)], ids=["loopback", "header token"]
)
async def test_a_source_says_whether_it_needs_a_credential(
    doors: Door, verification: pb.Verification, required: bool
) -> None:
    name = ids.new("asked")
    await doors.create(name, verification)

    standing = await doors.webhooks.internal.VerifySource(events.VerifySourceRequest(source=name))

    assert (standing.ready, standing.credential_required) == (True, required)
