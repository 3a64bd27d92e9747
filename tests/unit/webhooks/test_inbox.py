"""The inbox: what becomes of each delivery, alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from libs.errors import AppError, Internal, ResourceExhausted, Unavailable
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.document import UnreadableBody
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.inbox import Inbox, Listed, Standing
from services.webhooks.domain.source import BUILT_IN, LIDARR, Source, SourceConfig, UnknownSource, configured
from services.webhooks.domain.verification.plain import HeaderToken, SecretUrl
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Credentials
from tests.support.lidarr_webhooks import BODIES, NOON, delivery, grab


class FakeAdmission:
    """Stores in memory; fails for one type when told to."""

    def __init__(self, broken_type: str | None = None, error: Exception | None = None) -> None:
        self.events: list[NewEvent] = []
        self._broken_type = broken_type
        self._error = error or Unavailable("the database is away")

    async def submit(self, item: NewEvent) -> Receipt:
        if item.type == self._broken_type:
            raise self._error
        self.events.append(item)
        return Receipt(event_id=item.id, duplicate=False)


class FakeSources:
    """The built-in sources with the same secrets; `fresh`, when given, is what a refresh finds."""

    def __init__(self, *secrets: str, fresh: "FakeSources | None" = None, **sources: Source) -> None:
        self._secrets = secrets
        self._sources = {**BUILT_IN, **sources}
        self._fresh = fresh

    def get(self, name: str) -> Listed:
        if name not in self._sources:
            raise UnknownSource(name)
        credentials = Credentials(secrets=self._secrets, required=bool(self._secrets))
        return Listed(source=self._sources[name], credentials=credentials)

    async def refresh(self) -> bool:
        if self._fresh is None:
            return False
        self._secrets, self._sources, self._fresh = self._fresh._secrets, self._fresh._sources, None
        return True


class AbsentSources(FakeSources):
    """The settings have not come yet."""

    def get(self, name: str) -> Listed:
        raise Unavailable("the settings are not here yet")


class Count:
    """Counts."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.reasons: list[str] = []

    def stored(self, source: Source, event: NewEvent, receipt: Receipt, seconds: float) -> None:
        self.seen.append((source.name, source.label(event.type)))

    def refused(self, delivery: Delivery, error: AppError) -> None:
        self.reasons.append(error.code_reason)


def inbox(admission: FakeAdmission, *secrets: str, log: Count | None = None) -> Inbox:
    return Inbox(admission, FakeSources(*secrets), ready=always, log=log or Count(), new_id=lambda: "evt-1")


async def always() -> None:
    """The store is ready."""


async def never() -> None:
    """The store is not ready."""
    raise Unavailable("the database is away")


async def test_a_delivery_is_stored_byte_for_byte_with_its_type() -> None:
    admission = FakeAdmission()
    arrived = delivery(grab())

    assert await inbox(admission).ingest([arrived]) == [Receipt(event_id="evt-1", duplicate=False)]
    assert (admission.events[0].body, admission.events[0].type) == (arrived.body, "Grab")


async def test_the_secret_is_not_stored() -> None:
    admission = FakeAdmission()

    await inbox(admission, "s3cret").ingest([delivery(grab(), headers=[("x-webhook-secret", "s3cret")])])

    assert admission.events[0].headers == {"x-webhook-secret": "[redacted]"}


async def test_each_delivery_fails_alone_and_in_order() -> None:
    admission = FakeAdmission(broken_type="Health")
    good = [("x-webhook-secret", "s3cret")]
    deliveries = [
        delivery(grab(), headers=good),
        delivery(grab(), headers=good, source="nobody"),
        delivery(grab()),
        delivery(BODIES["Health"], headers=good),
        delivery(BODIES["Test"], headers=good),
    ]

    outcomes = await inbox(admission, "s3cret").ingest(deliveries)

    assert [type(outcome) for outcome in outcomes] == [Receipt, UnknownSource, CredentialRefused, Unavailable, Receipt]


async def test_one_that_breaks_the_store_fails_alone() -> None:
    admission = FakeAdmission(broken_type="Health", error=ValueError("poison"))

    outcomes = await inbox(admission).ingest([delivery(BODIES["Health"]), delivery(grab())])

    assert [type(outcome) for outcome in outcomes] == [Internal, Receipt]


async def test_a_full_disk_is_not_the_senders_fault() -> None:
    full = ResourceExhausted("the disk is full", retry_after=timedelta(seconds=3), reason="STORAGE_FULL")

    [outcome] = await inbox(FakeAdmission("Grab", full)).ingest([delivery(grab())])

    assert isinstance(outcome, Unavailable)
    assert (outcome.code_reason, outcome.retry_after) == ("STORAGE_FULL", timedelta(seconds=3))


async def test_what_is_no_json_is_stored_without_a_type() -> None:
    admission = FakeAdmission()

    outcomes = await inbox(admission).ingest([delivery(b"not json")])

    assert [type(outcome) for outcome in outcomes] == [Receipt]
    assert (admission.events[0].body, admission.events[0].type) == (b"not json", "")


@pytest.mark.parametrize(("name", "label"), [("Grab", "Grab"), ("x" * 5000, "other"), ("", "other")])
async def test_types_are_counted_under_a_closed_set(name: str, label: str) -> None:
    log = Count()

    await inbox(FakeAdmission(), log=log).ingest([delivery({"eventType": name})])

    assert log.seen == [("lidarr", label)]


async def test_refusals_are_counted() -> None:
    log = Count()

    await inbox(FakeAdmission(), "s3cret", log=log).ingest([delivery(grab())])

    assert log.reasons == ["WEBHOOK_CREDENTIAL_REFUSED"]


@pytest.mark.parametrize(("secrets", "required"), [(["s3cret"], True), ([], False)])
async def test_a_source_says_whether_it_needs_a_credential(secrets: list[str], required: bool) -> None:
    standing = await inbox(FakeAdmission(), *secrets).standing("lidarr")

    assert standing == Standing(ready=True, credential_required=required)


async def test_a_source_is_not_ready_without_its_store() -> None:
    unready = Inbox(FakeAdmission(), FakeSources(), ready=never, log=Count(), new_id=lambda: "evt-1")

    assert await unready.standing("lidarr") == Standing(ready=False, credential_required=False)


async def test_a_source_is_not_ready_before_its_settings_are_known() -> None:
    unready = Inbox(FakeAdmission(), AbsentSources(), ready=always, log=Count(), new_id=lambda: "evt-1")

    assert await unready.standing("lidarr") == Standing(ready=False, credential_required=True)


async def test_deliveries_wait_for_the_settings() -> None:
    unready = Inbox(FakeAdmission(), AbsentSources(), ready=always, log=Count(), new_id=lambda: "evt-1")

    [outcome] = await unready.ingest([delivery(grab())])

    assert isinstance(outcome, Unavailable)


async def test_an_unknown_source_has_no_standing() -> None:
    with pytest.raises(UnknownSource):
        await inbox(FakeAdmission()).standing("nobody")


class Renewable(FakeSources):
    """Counts how often somebody looked."""

    looks = 0

    async def refresh(self) -> bool:
        self.looks += 1
        return await super().refresh()


def at(sources: FakeSources, admission: FakeAdmission | None = None, log: Count | None = None) -> Inbox:
    return Inbox(admission or FakeAdmission(), sources, ready=always, log=log or Count(), new_id=lambda: "evt-1")


def token_source(*, json_required: bool = False) -> Source:
    scheme = HeaderToken(header="x-token")
    return configured(SourceConfig(name="token", verification=scheme, json_required=json_required))


async def test_a_refused_credential_is_judged_again_by_what_changed_a_moment_ago() -> None:
    sources = Renewable("old", fresh=FakeSources("old", "new"))
    deliveries = [delivery(grab(), headers=[("x-webhook-secret", "new")])]

    assert [type(outcome) for outcome in await at(sources).ingest(deliveries)] == [Receipt]
    assert sources.looks == 1


async def test_a_source_that_was_made_a_moment_ago_takes_deliveries_and_has_a_standing() -> None:
    made = FakeSources("s3cret", token=token_source())

    [outcome] = await at(FakeSources(fresh=made)).ingest(
        [delivery(b"{}", source="token", headers=[("x-token", "s3cret")])]
    )

    assert isinstance(outcome, Receipt)
    assert await at(FakeSources(fresh=made)).standing("token") == Standing(ready=True, credential_required=True)


async def test_a_good_credential_looks_nothing_up() -> None:
    sources = Renewable("s3cret")

    await at(sources).ingest([delivery(grab(), headers=[("x-webhook-secret", "s3cret")])])

    assert sources.looks == 0


async def test_nobody_is_told_that_a_credential_is_wrong_while_it_cannot_be_known() -> None:
    class Away(FakeSources):
        async def refresh(self) -> bool:
            raise Unavailable("the database is away")

    outcomes = await at(Away("s3cret")).ingest([delivery(grab()), delivery(grab(), source="nowhere")])

    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]


async def test_events_of_a_disabled_source_are_stored_with_a_note() -> None:
    admission = FakeAdmission()

    await at(FakeSources(lidarr=replace(LIDARR, disabled=True)), admission).ingest([delivery(grab())])

    assert [event.ignored for event in admission.events] == ["the source is disabled"]


async def test_an_event_of_lidarr_carries_its_order_and_its_facts() -> None:
    admission = FakeAdmission()

    await at(FakeSources(), admission).ingest([delivery(grab())])

    [event] = admission.events
    assert event.order_key is not None
    assert event.facts != ()


async def test_json_that_is_demanded_is_refused_with_what_is_wrong() -> None:
    strict = token_source(json_required=True)
    log = Count()

    [outcome] = await at(FakeSources("s3cret", token=strict), log=log).ingest(
        [delivery(b"[]", source="token", headers=[("x-token", "s3cret")])]
    )

    assert isinstance(outcome, UnreadableBody)
    assert outcome.message == "the body is JSON, but not an object"
    assert log.reasons == ["BODY_UNREADABLE"]


async def test_nothing_is_read_before_the_credential_holds() -> None:
    strict = token_source(json_required=True)

    [outcome] = await at(FakeSources("s3cret", token=strict)).ingest([delivery(b"[" * 100_000, source="token")])

    assert isinstance(outcome, CredentialRefused)


async def test_the_headers_that_prove_a_sender_are_not_kept() -> None:
    odd = configured(SourceConfig(name="odd", verification=HeaderToken(header="x-odd")))
    admission = FakeAdmission()

    await at(FakeSources("s3cret", odd=odd), admission).ingest(
        [delivery(b"{}", source="odd", headers=[("x-odd", "s3cret"), ("x-more", "told")])]
    )

    assert admission.events[0].headers == {"x-odd": "[redacted]", "x-more": "told"}


async def test_a_secret_address_and_no_address_at_all_get_the_same_answer() -> None:
    door = configured(SourceConfig(name="door", verification=SecretUrl()))
    sources = FakeSources("s3cret", door=door)

    outcomes = await at(sources).ingest(
        [
            delivery(b"{}", source="door", url_secret="wrong"),
            delivery(b"{}", source="door"),
            delivery(b"{}", source="lidarr", url_secret="s3cret"),
            delivery(b"{}", source="door", url_secret="s3cret"),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [UnknownSource, UnknownSource, UnknownSource, Receipt]
    with pytest.raises(UnknownSource):
        await at(sources).standing("door")


async def test_what_was_found_in_records_is_stored_behind_the_same_door() -> None:
    admission = FakeAdmission()
    event = NewEvent(
        id="evt-9", source="lidarr", type="Grab", key="history:1", headers={}, body=b"{}", received_at=NOON
    )

    assert await at(FakeSources(), admission).backfill([event]) == [Receipt(event_id="evt-9", duplicate=False)]
    assert admission.events == [event]


async def test_a_delivery_shows_nothing_secret_of_itself() -> None:
    shown = repr(delivery(b"private", headers=[("x-odd", "private")], url_secret="private"))

    assert "private" not in shown
