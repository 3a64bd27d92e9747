"""Sources made at run time: their API, their secrets, and that every replica obeys at once."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.webhooks.v1 import sources_pb2 as pb
from lockgroove.webhooks.v1 import sources_pb2_grpc as rpc
from lockgroove.webhooks.v1 import webhooks_pb2 as events

from libs import ids
from libs.errors import AlreadyExists, AppError, Conflict, FailedPrecondition, InvalidArgument, NotFound
from libs.rpc.client import open_channel
from libs.rpc.errors import from_status
from tests.integration.webhooks.conftest import Webhooks, serving, settings_in
from tests.support.postgres import Postgres
from tests.support.signers import Headers, b64, github, mac, slack, standard
from tests.support.waiting import eventually
from tests.support.webhook_peers import OPERATOR_KEY, Peers, running_peers

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"id": "evt_9", "type": "ping"}'
WHSEC = "whsec_bG9ja2dyb292ZS10ZXN0LXNlY3JldC1wYWRkaW5n"
SECRET = "lockgroove-test-secret"
GITHUB = pb.Verification(github=pb.Verification.GitHub())
TOKEN = pb.Verification(header_token=pb.Verification.HeaderToken(header="X-Token"))
LOOPBACK = pb.Verification(loopback=pb.Verification.Loopback())
STANDARD = pb.Verification(standard_webhooks=pb.Verification.StandardWebhooks())
SLACK = pb.Verification(slack=pb.Verification.Slack())
SECRET_URL = pb.Verification(secret_url=pb.Verification.SecretUrl())


def hmac(config: dict[str, str]) -> pb.Verification:
    return pb.Verification(hmac=pb.Verification.Hmac(**config))  # type: ignore[arg-type] # all of them are texts


def _now() -> datetime:
    return datetime.now(UTC)


class Door:
    """One replica: its sources, and its door for deliveries."""

    def __init__(self, webhooks: Webhooks, sources: rpc.SourceServiceStub) -> None:
        self.webhooks = webhooks
        self.sources = sources

    async def create(self, name: str, verification: pb.Verification, **source: object) -> pb.Source:
        """Make a source."""
        return await self.sources.CreateSource(
            pb.CreateSourceRequest(source=pb.Source(verification=verification, **source), source_id=name)  # type: ignore[arg-type]
        )

    async def deliver(
        self, name: str, headers: Headers, body: bytes = BODY, *, address: str = "203.0.113.5", url_secret: str = ""
    ) -> events.DeliveryOutcome:
        """Deliver as the gateway does; raises what the sender is told."""
        now = Timestamp()
        now.GetCurrentTime()
        [outcome] = await self.webhooks.ingest(
            events.Delivery(
                source=name,
                headers=[events.Header(name=each, value=value) for each, value in headers],
                body=body,
                receive_time=now,
                remote_address=address,
                url_secret=url_secret,
            )
        )
        if outcome.status.code:
            raise from_status(outcome.status)
        return outcome

    async def refusal(self, name: str, headers: Headers, body: bytes = BODY, **more: str) -> AppError:
        """What the sender is told."""
        with pytest.raises(AppError) as caught:
            await self.deliver(name, headers, body, **more)
        return caught.value


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["sqlite", "postgresql"])
async def doors(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres: Postgres
) -> AsyncIterator[Door]:
    """One service for all tests: each has its own sources."""
    home, name = tmp_path_factory.mktemp("sources"), ids.new("test")
    database = None
    if request.param == "postgresql":
        postgres.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy')
        database = postgres.url(name)
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running_peers())
        yield await _door(stack, home, database, peers)
    if database is not None:
        postgres.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def field_of(error: AppError) -> str:
    [violation] = error.violations
    return violation.field


async def test_a_source_takes_deliveries_from_the_moment_it_is_made(doors: Door) -> None:
    made = await doors.create("hub", GITHUB, secret=SECRET, display_name="Our hub")

    outcome = await doors.deliver("hub", [*github(SECRET, BODY, _now()), ("x-github-delivery", "d-1")])

    assert (made.name, made.display_name, made.state) == ("sources/hub", "Our hub", pb.Source.ENABLED)
    event = await doors.webhooks.reaches(outcome.event_id, events.Event.DONE)
    assert (event.source, event.type, event.body) == ("hub", "push", BODY)
    assert event.headers["x-hub-signature-256"] == "[redacted]"


async def test_a_secret_is_shown_once_when_it_was_made_here_and_never_when_it_was_given(doors: Door) -> None:
    made = await doors.create("token", TOKEN)
    given = await doors.create("given", TOKEN, secret=SECRET)

    await doors.deliver("token", [("x-token", made.issued_secret)])
    read = await doors.sources.GetSource(pb.GetSourceRequest(name="sources/token"))
    assert len(made.issued_secret) == 43
    assert (given.issued_secret, given.secret, read.issued_secret, read.secret) == ("", "", "", "")
    assert [len(each.fingerprint) for each in read.secrets] == [12]


async def test_a_secret_rotates_with_an_overlap(doors: Door) -> None:
    await doors.create("rotated", TOKEN, secret="first-secret")

    rotated = await doors.sources.RotateSourceSecret(
        pb.RotateSourceSecretRequest(name="sources/rotated", secret="second-secret")
    )
    await doors.deliver("rotated", [("x-token", "first-secret")])
    await doors.deliver("rotated", [("x-token", "second-secret")])
    third = await doors.sources.RotateSourceSecret(pb.RotateSourceSecretRequest(name="sources/rotated"))

    assert [each.HasField("expire_time") for each in rotated.secrets] == [False, True]
    assert len(third.secrets) == 2
    await doors.deliver("rotated", [("x-token", third.issued_secret)])
    await doors.deliver("rotated", [("x-token", "second-secret")])
    assert (await doors.refusal("rotated", [("x-token", "first-secret")])).code_reason == "WEBHOOK_CREDENTIAL_REFUSED"


async def test_a_secret_that_leaked_goes_at_once(doors: Door) -> None:
    await doors.create("leaked", TOKEN, secret="first-secret")

    await doors.sources.RotateSourceSecret(
        pb.RotateSourceSecretRequest(name="sources/leaked", secret="second-secret", overlap=Duration())
    )

    assert (await doors.refusal("leaked", [("x-token", "first-secret")])).code_reason == "WEBHOOK_CREDENTIAL_REFUSED"


async def test_an_overlap_ends_by_itself(doors: Door) -> None:
    await doors.create("overlap", TOKEN, secret="first-secret")
    await doors.sources.RotateSourceSecret(
        pb.RotateSourceSecretRequest(name="sources/overlap", secret="second-secret", overlap=Duration(nanos=1_000_000))
    )

    async def over() -> bool:
        try:
            await doors.deliver("overlap", [("x-token", "first-secret")])
        except AppError as error:
            return error.code_reason == "WEBHOOK_CREDENTIAL_REFUSED"
        return False

    await eventually(over)


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


async def test_a_built_in_source_can_be_disabled_and_nothing_else(doors: Door) -> None:
    update = pb.UpdateSourceRequest(source=pb.Source(name="sources/slskd", disabled=True))
    await doors.sources.UpdateSource(update)
    outcome = await doors.deliver("slskd", [], b'{"id": "1", "type": "Noop"}', address="127.0.0.1")

    await doors.sources.UpdateSource(
        pb.UpdateSourceRequest(source=pb.Source(name="sources/slskd"), update_mask=FieldMask(paths=["disabled"]))
    )

    event = await doors.webhooks.get(outcome.event_id)
    assert (event.type, event.error) == ("Noop", "the source is disabled")
    with pytest.raises(InvalidArgument):
        await doors.sources.UpdateSource(
            pb.UpdateSourceRequest(source=pb.Source(name="sources/slskd", json_required=True))
        )
    with pytest.raises(FailedPrecondition):
        await doors.sources.DeleteSource(pb.DeleteSourceRequest(name="sources/slskd"))
    with pytest.raises(FailedPrecondition):
        await doors.sources.RotateSourceSecret(pb.RotateSourceSecretRequest(name="sources/slskd"))


async def test_a_source_that_is_gone_is_unknown_and_its_events_stay(doors: Door) -> None:
    made = await doors.create("brief", LOOPBACK)
    outcome = await doors.deliver("brief", [], address="127.0.0.1")

    with pytest.raises(Conflict):
        await doors.sources.DeleteSource(pb.DeleteSourceRequest(name="sources/brief", etag='"99"'))
    await doors.sources.DeleteSource(pb.DeleteSourceRequest(name="sources/brief", etag=made.etag))

    assert isinstance(await doors.refusal("brief", [], address="127.0.0.1"), NotFound)
    assert (await doors.webhooks.get(outcome.event_id)).source == "brief"
    with pytest.raises(NotFound):
        await doors.sources.GetSource(pb.GetSourceRequest(name="sources/brief"))


async def test_a_name_has_one_source(doors: Door) -> None:
    await doors.create("twice", LOOPBACK)

    with pytest.raises(AlreadyExists):
        await doors.create("twice", LOOPBACK)
    with pytest.raises(InvalidArgument) as caught:
        await doors.create("lidarr", LOOPBACK)
    assert field_of(caught.value) == "source_id"


async def test_a_repeated_call_makes_one_source_and_tells_its_secret_once(doors: Door) -> None:
    request = pb.CreateSourceRequest(source=pb.Source(verification=TOKEN), source_id="once", request_id=str(uuid4()))
    first = await doors.sources.CreateSource(request)
    again = await doors.sources.CreateSource(request)

    assert first.issued_secret != ""
    assert (again.name, again.issued_secret, again.secrets[0]) == (first.name, "", first.secrets[0])
    request.source_id = "another"
    with pytest.raises(InvalidArgument) as caught:
        await doors.sources.CreateSource(request)
    assert field_of(caught.value) == "request_id"


@pytest.mark.parametrize(
    ("source", "field"),
    [
        (pb.Source(), "source.verification"),
        (pb.Source(verification=pb.Verification(stripe=pb.Verification.Stripe())), "source.secret"),
        (pb.Source(verification=SLACK, secret="short"), "source.secret"),
        (pb.Source(verification=STANDARD, secret="whsec_not base64"), "source.secret"),
        (pb.Source(verification=STANDARD, secret="whsec_" + b64(b"short")), "source.secret"),
        (pb.Source(verification=STANDARD, secret="whpk_" + b64(b"x" * 31)), "source.secret"),
        (pb.Source(verification=SECRET_URL, secret=SECRET), "source.secret"),
        (pb.Source(verification=LOOPBACK, secret=SECRET), "source.secret"),
        (pb.Source(verification=TOKEN, secret="with a line\nend"), "source.secret"),
        (pb.Source(verification=TOKEN, secret="pässword"), "source.secret"),
        (pb.Source(verification=hmac({"header": "x", "content": "{id}{body}"})), "source.verification.hmac.id_header"),
        (pb.Source(verification=hmac({"header": "x", "content": "{what}{body}"})), "source.verification.hmac.content"),
        (pb.Source(verification=hmac({"header": "x", "prefix": "a\nb"})), "source.verification.hmac.prefix"),
        (pb.Source(verification=hmac({"header": "x y"})), "source.verification.hmac.header"),
        (
            pb.Source(verification=pb.Verification(header_token=pb.Verification.HeaderToken())),
            "source.verification.header_token.header",
        ),
        (pb.Source(verification=LOOPBACK, dedup_paths=["query:id"]), "source.dedup_paths[0]"),
        (pb.Source(verification=LOOPBACK, type_path="body:"), "source.type_path"),
    ],
)
async def test_what_is_wrong_with_a_source_is_named(doors: Door, source: pb.Source, field: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await doors.sources.CreateSource(pb.CreateSourceRequest(source=source, source_id="wrong"))

    assert field in {violation.field for violation in caught.value.violations}
    assert "not base64" not in str(caught.value)
    with pytest.raises(NotFound):
        await doors.sources.GetSource(pb.GetSourceRequest(name="sources/wrong"))


async def test_a_change_names_what_changes(doors: Door) -> None:
    hmac = pb.Verification(hmac=pb.Verification.Hmac(header="x-mac", prefix="a="))
    made = await doors.create("mac", hmac, secret=SECRET, display_name="Before")
    wish = pb.Source(name=made.name, display_name="After", verification=hmac, etag=made.etag)
    wish.verification.hmac.prefix = "b="

    changed = await doors.sources.UpdateSource(
        pb.UpdateSourceRequest(source=wish, update_mask=FieldMask(paths=["verification.hmac.prefix"]))
    )

    assert (changed.display_name, changed.verification.hmac.prefix) == ("Before", "b=")
    assert changed.verification.hmac.header == "x-mac"
    await doors.deliver("mac", [("x-mac", "b=" + mac(SECRET, BODY).hex())])
    await doors.refusal("mac", [("x-mac", "a=" + mac(SECRET, BODY).hex())])
    with pytest.raises(Conflict):
        await doors.sources.UpdateSource(pb.UpdateSourceRequest(source=wish))


@pytest.mark.parametrize("path", ["secret", "name", "nonsense", "secrets"])
async def test_what_cannot_change_is_named(doors: Door, path: str) -> None:
    name = (await doors.create(ids.new("fixed"), TOKEN, secret=SECRET)).name

    with pytest.raises(InvalidArgument) as caught:
        await doors.sources.UpdateSource(
            pb.UpdateSourceRequest(source=pb.Source(name=name), update_mask=FieldMask(paths=[path]))
        )

    assert field_of(caught.value) == "update_mask"


async def test_a_scheme_that_the_secret_does_not_suit_is_refused(doors: Door) -> None:
    await doors.create("text", TOKEN, secret=SECRET)
    for verification in (SECRET_URL, LOOPBACK, STANDARD):
        with pytest.raises(InvalidArgument):
            await doors.sources.UpdateSource(
                pb.UpdateSourceRequest(source=pb.Source(name="sources/text", verification=verification))
            )

    await doors.sources.UpdateSource(pb.UpdateSourceRequest(source=pb.Source(name="sources/text", verification=GITHUB)))
    await doors.deliver("text", github(SECRET, BODY, _now()))


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
    await doors.create("paths", LOOPBACK, dedup_paths=["header:x-nonce", "body:data.id"], type_path="body:data.kind")

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

    first = await doors.deliver("std", standard(WHSEC, body, _now(), message_id="m-1"), body)
    again = await doors.deliver("std", standard(WHSEC, body, _now(), message_id="m-1"), body)
    other = await doors.deliver("std", standard(WHSEC, body, _now(), message_id="m-2"), body)

    assert (again.event_id, again.duplicate) == (first.event_id, True)
    assert other.event_id != first.event_id
    assert (await doors.webhooks.get(first.event_id)).type == "invoice.paid"


async def test_slacks_challenge_is_answered_after_its_signature_held_and_stored(doors: Door) -> None:
    await doors.create("chat", SLACK, secret=SECRET)
    body = b'{"type": "url_verification", "token": "x", "challenge": "3eZbrw1aB10"}'

    outcome = await doors.deliver("chat", slack(SECRET, body, _now()), body)
    again = await doors.deliver("chat", slack(SECRET, body, _now()), body)
    refused = await doors.refusal("chat", slack("another-secret", body, _now()), body)

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


async def test_sources_are_listed_page_by_page_with_the_built_in_ones(doors: Door) -> None:
    for name in ("aaa", "zulu"):
        await doors.create(name, LOOPBACK)

    first = await doors.sources.ListSources(pb.ListSourcesRequest(page_size=1))
    rest = await doors.sources.ListSources(pb.ListSourcesRequest(page_token=first.next_page_token))

    names = [each.name for each in rest.sources]
    assert [each.name for each in first.sources] == ["sources/aaa"]
    assert (names[-1], names) == ("sources/zulu", sorted(names))
    assert [each.name for each in rest.sources if each.built_in] == ["sources/lidarr", "sources/slskd"]


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


async def test_every_replica_obeys_at_once(tmp_path: Path, postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running_peers())
        first, second = [await _door(stack, tmp_path / name, postgres_url, peers) for name in ("first", "second")]

        await first.create("shared", TOKEN, secret="first-secret")
        await second.deliver("shared", [("x-token", "first-secret")], b"1")
        await first.sources.RotateSourceSecret(
            pb.RotateSourceSecretRequest(name="sources/shared", secret="second-secret")
        )
        await second.deliver("shared", [("x-token", "second-secret")], b"2")
        await first.sources.DeleteSource(pb.DeleteSourceRequest(name="sources/shared"))

        async def gone() -> bool:
            return isinstance(await second.refusal("shared", [("x-token", "nobody's")], b"3"), NotFound)

        await eventually(gone)


async def _door(stack: AsyncExitStack, home: Path, database: str | None, peers: Peers) -> Door:
    settings = settings_in(home, peers, database=database)
    webhooks = await stack.enter_async_context(serving(settings, peers))
    people = await stack.enter_async_context(open_channel(settings.listen, credential=OPERATOR_KEY))
    return Door(webhooks, rpc.SourceServiceStub(people))
