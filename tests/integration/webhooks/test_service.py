"""The service over gRPC: from the delivery to the acquisition, on each database."""

import asyncio
from datetime import UTC, datetime

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as acquisition_pb
from lockgroove.webhooks.v1 import webhooks_pb2 as pb

from libs.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unavailable
from tests.integration.webhooks.conftest import Webhooks, delivery
from tests.support.lidarr_webhooks import BODIES, DOWNLOAD_ID, MBID, album, download, encode, grab
from tests.support.webhook_peers import ACQUISITION

UNAUTHENTICATED, NOT_FOUND = 16, 5
QUIET = sorted(BODIES.keys() - {"Grab", "Download", "DownloadFailure", "ImportFailure"})


async def test_a_grab_reaches_its_acquisition(webhooks: Webhooks) -> None:
    event_id = await webhooks.deliver(grab())

    event = await webhooks.reaches(event_id, pb.Event.DONE)

    assert list(event.acquisitions) == [ACQUISITION]
    assert (event.source, event.type, event.attempt_count, event.body) == ("lidarr", "Grab", 1, encode(grab()))
    assert webhooks.peers.acquisitions.facts[event_id] == acquisition_pb.ReportLidarrFactRequest(
        event_id=event_id,
        kind=acquisition_pb.ReportLidarrFactRequest.GRABBED,
        lidarr_album_ids=[777],
        release_group_mbids=[MBID],
        download_id=DOWNLOAD_ID,
        download_client="qbit",
    )


async def test_all_thirteen_types_end_well(webhooks: Webhooks) -> None:
    ids = {name: await webhooks.deliver(body) for name, body in BODIES.items()}

    for name, event_id in ids.items():
        await webhooks.reaches(event_id, pb.Event.IGNORED if name in QUIET else pb.Event.DONE)
    assert len(webhooks.peers.acquisitions.facts) == 4


async def test_a_duplicate_is_answered_with_the_first_id_and_counted(webhooks: Webhooks) -> None:
    [first] = await webhooks.ingest(delivery(grab()))
    [second] = await webhooks.ingest(delivery(grab()))

    assert (first.duplicate, second.duplicate) == (False, True)
    assert first.event_id == second.event_id
    event = await webhooks.reaches(first.event_id, pb.Event.DONE)
    assert event.duplicate_count == 1
    assert webhooks.peers.acquisitions.calls == 1


async def test_each_delivery_of_a_call_has_its_own_outcome(webhooks: Webhooks) -> None:
    outcomes = await webhooks.ingest(
        delivery(grab()), delivery(grab(), source="nobody"), delivery(grab(), remote_address="203.0.113.9")
    )

    assert [outcome.status.code for outcome in outcomes] == [0, NOT_FOUND, UNAUTHENTICATED]


async def test_a_secret_that_is_set_counts_at_once(webhooks: Webhooks) -> None:
    await webhooks.peers.config.set_secret("s3cret")

    async with asyncio.timeout(10):
        while not (await webhooks.internal.VerifySource(pb.VerifySourceRequest(source="lidarr"))).credential_required:
            await asyncio.sleep(0.01)
    without, wrong, right = await webhooks.ingest(
        delivery(grab()),
        delivery(grab(), secret="wrong"),
        delivery(grab(), secret="s3cret", remote_address="203.0.113.9"),
    )

    assert [without.status.code, wrong.status.code, right.status.code] == [UNAUTHENTICATED, UNAUTHENTICATED, 0]
    assert (await webhooks.get(right.event_id)).headers["x-webhook-secret"] == "[redacted]"


async def test_a_body_that_is_no_json_is_kept_and_dead(webhooks: Webhooks) -> None:
    event = await webhooks.reaches(await webhooks.deliver(b"<xml/>"), pb.Event.DEAD)

    assert event.body == b"<xml/>"
    assert event.error.startswith("the body is not JSON")


async def test_an_event_that_nobody_waits_for_is_unmatched_and_looked_at_again(webhooks: Webhooks) -> None:
    webhooks.peers.acquisitions.answer = ()
    event_id = await webhooks.deliver(grab())
    event = await webhooks.reaches(event_id, pb.Event.UNMATCHED)
    assert event.next_attempt_time.ToDatetime(UTC) > datetime.now(UTC)

    webhooks.peers.acquisitions.answer = [ACQUISITION]

    event = await webhooks.reaches(event_id, pb.Event.DONE)
    assert (list(event.acquisitions), event.attempt_count) == ([ACQUISITION], 2)


async def test_an_unmatched_event_is_matched_again_when_an_acquisition_is_made(webhooks: Webhooks) -> None:
    webhooks.peers.acquisitions.answer = ()
    event_id = await webhooks.deliver(grab())
    waiting = await webhooks.reaches(event_id, pb.Event.UNMATCHED)

    webhooks.peers.acquisitions.answer = [ACQUISITION]
    webhooks.peers.acquisitions.made.put_nowait(ACQUISITION)

    event = await webhooks.reaches(event_id, pb.Event.DONE)
    assert event.update_time.ToDatetime(UTC) < waiting.next_attempt_time.ToDatetime(UTC)


async def test_an_outage_of_acquisitions_costs_no_event(webhooks: Webhooks) -> None:
    webhooks.peers.acquisitions.answer = Unavailable("restarting")
    event_id = await webhooks.deliver(grab())
    event = await webhooks.reaches(event_id, pb.Event.RETRY)
    assert event.error == "restarting"

    webhooks.peers.acquisitions.answer = [ACQUISITION]

    assert (await webhooks.reaches(event_id, pb.Event.DONE)).error == ""


async def test_a_fact_that_is_refused_is_dead_and_can_be_replayed(webhooks: Webhooks) -> None:
    webhooks.peers.acquisitions.answer = InvalidArgument("bad id")
    event_id = await webhooks.deliver(grab())
    event = await webhooks.reaches(event_id, pb.Event.DEAD)
    assert event.error == "refused: bad id"

    webhooks.peers.acquisitions.answer = [ACQUISITION]
    replayed = await webhooks.people.ReplayEvent(pb.ReplayEventRequest(name=event.name))

    assert (replayed.state, replayed.attempt_count, replayed.error) == (pb.Event.RECEIVED, 0, "")
    await webhooks.reaches(event_id, pb.Event.DONE)


async def test_an_event_on_its_way_is_not_replayed(webhooks: Webhooks) -> None:
    webhooks.peers.acquisitions.answer = Unavailable("restarting")
    event_id = await webhooks.deliver(grab())
    await webhooks.reaches(event_id, pb.Event.RETRY)

    with pytest.raises(FailedPrecondition):
        await webhooks.people.ReplayEvent(pb.ReplayEventRequest(name=f"events/{event_id}"))


async def test_an_event_that_is_not_there_is_not_found(webhooks: Webhooks) -> None:
    with pytest.raises(NotFound) as caught:
        await webhooks.get("evt-none")

    assert caught.value.code_reason == "EVENT_NOT_FOUND"


async def test_people_do_not_ingest(webhooks: Webhooks) -> None:
    with pytest.raises(PermissionDenied):
        await webhooks.people.IngestDeliveries(pb.IngestDeliveriesRequest(deliveries=[delivery(grab())]))


async def test_a_source_says_that_it_is_ready(webhooks: Webhooks) -> None:
    response = await webhooks.people.VerifySource(pb.VerifySourceRequest(source="lidarr"))

    assert response == pb.VerifySourceResponse(source="lidarr", ready=True, credential_required=False)
    with pytest.raises(NotFound):
        await webhooks.people.VerifySource(pb.VerifySourceRequest(source="nobody"))


async def test_events_are_listed_newest_first_without_their_bodies(webhooks: Webhooks) -> None:
    ids = [await webhooks.deliver(download(album=album(number))) for number in range(1, 4)]

    response = await webhooks.people.ListEvents(pb.ListEventsRequest())

    assert [event.name for event in response.events] == [f"events/{event_id}" for event_id in reversed(ids)]
    assert {event.body for event in response.events} == {b""}
    assert all(event.body_size_bytes > 0 for event in response.events)


async def test_a_filter_picks_events_by_what_they_are(webhooks: Webhooks) -> None:
    grabbed, dead = await webhooks.deliver(grab()), await webhooks.deliver(b"<xml/>")
    await webhooks.reaches(grabbed, pb.Event.DONE)
    await webhooks.reaches(dead, pb.Event.DEAD)

    async def found(query: str) -> list[str]:
        response = await webhooks.people.ListEvents(pb.ListEventsRequest(filter=query))
        return [event.name.removeprefix("events/") for event in response.events]

    assert await found('state = "DEAD"') == [dead]
    assert await found('source = "lidarr" AND type = "Grab"') == [grabbed]
    assert await found('state = "DEAD" AND type = "Grab"') == []
    assert await found('receive_time < "2020-01-01T00:00:00Z"') == []


async def test_a_list_that_cannot_be_made_names_the_field(webhooks: Webhooks) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await webhooks.people.ListEvents(pb.ListEventsRequest(filter="body = 1"))

    assert [violation.field for violation in caught.value.violations] == ["filter"]
