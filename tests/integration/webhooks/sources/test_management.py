"""Sources are made, changed and removed at run time, and every replica obeys at once."""

from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from lockgroove.webhooks.v1 import sources_pb2 as pb
from lockgroove.webhooks.v1 import webhooks_pb2 as events

from libs import ids
from libs.errors import AlreadyExists, AppError, Conflict, FailedPrecondition, InvalidArgument, NotFound
from tests.integration.webhooks.sources.door import (
    BODY,
    GITHUB,
    LOOPBACK,
    SECRET,
    SECRET_URL,
    SLACK,
    STANDARD,
    TOKEN,
    Door,
    now,
    open_door,
)
from tests.support.signers import b64, github, mac
from tests.support.waiting import eventually
from tests.support.webhook_peers import running_peers

pytestmark = pytest.mark.asyncio(loop_scope="module")


def hmac(config: dict[str, str]) -> pb.Verification:
    return pb.Verification(hmac=pb.Verification.Hmac(**config))  # type: ignore[arg-type] # all of them are texts


def field_of(error: AppError) -> str:
    [violation] = error.violations
    return violation.field


async def test_a_source_takes_deliveries_from_the_moment_it_is_made(doors: Door) -> None:
    made = await doors.create("hub", GITHUB, secret=SECRET, display_name="Our hub")

    outcome = await doors.deliver("hub", [*github(SECRET, BODY, now()), ("x-github-delivery", "d-1")])

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


async def test_who_names_no_scheme_hears_which_there_are(doors: Door) -> None:
    with pytest.raises(InvalidArgument, match=r"one of standardWebhooks, hmac, github, .*, loopback"):
        await doors.sources.CreateSource(pb.CreateSourceRequest(source=pb.Source(), source_id="none"))


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
    await doors.deliver("text", github(SECRET, BODY, now()))


async def test_sources_are_listed_page_by_page_with_the_built_in_ones(doors: Door) -> None:
    for name in ("aaa", "zulu"):
        await doors.create(name, LOOPBACK)

    first = await doors.sources.ListSources(pb.ListSourcesRequest(page_size=1))
    rest = await doors.sources.ListSources(pb.ListSourcesRequest(page_token=first.next_page_token))

    names = [each.name for each in rest.sources]
    assert [each.name for each in first.sources] == ["sources/aaa"]
    assert (names[-1], names) == ("sources/zulu", sorted(names))
    assert [each.name for each in rest.sources if each.built_in] == ["sources/lidarr", "sources/slskd"]


async def test_every_replica_obeys_at_once(tmp_path: Path, postgres_url: str) -> None:
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running_peers())
        first, second = [await open_door(stack, tmp_path / name, postgres_url, peers) for name in ("first", "second")]

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
