"""The inbox: what becomes of each delivery, alone."""

from datetime import timedelta

import pytest

from libs.errors import AppError, Internal, ResourceExhausted, Unavailable
from services.webhooks.domain.delivery import Delivery
from services.webhooks.domain.event import NewEvent, Receipt
from services.webhooks.domain.inbox import Inbox, Listed, Standing
from services.webhooks.domain.source import BUILT_IN, Source, UnknownSource
from services.webhooks.domain.verification.refusal import CredentialRefused
from services.webhooks.domain.verification.scheme import Credentials
from tests.support.lidarr_webhooks import BODIES, delivery, grab


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
