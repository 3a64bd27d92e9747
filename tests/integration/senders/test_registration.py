"""Registering in Lidarr: once, with a secret that nobody can read there, and for as long as it lasts."""

import base64
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from deploy.demo.lidarr.notifications import SWITCHES, setting
from deploy.demo.lidarr.world import LidarrWorld
from libs.clock import ManualClock
from services.webhooks import tables
from services.webhooks.domain.registration import Wanted, faults, find_own
from services.webhooks.lidarr.keeper import LOOK, WAITING_LOOKS, WAITING_WAIT, Keeper
from services.webhooks.lidarr.registration import MAX_PROBES, MAX_TAKEN_AWAY, Standing
from services.webhooks.peers import Address, PeerRefusedKey, PeerUnavailable

from .conftest import ALBUMS, switch_off
from .station import Station

Json = dict[str, Any]


def entries(lidarr: LidarrWorld) -> list[Json]:
    return [row.resource | {"id": row.id} for row in lidarr.lidarr.notifications.rows.values()]


def foreign(name: str, url: str) -> Json:
    fields = [{"name": "url", "value": url}, {"name": "method", "value": 1}]
    return {
        "name": name,
        "implementation": "Webhook",
        "configContract": "WebhookSettings",
        "tags": [],
        "fields": fields,
    }


async def test_lidarr_tells_us_everything_under_our_name(station: Station, lidarr: LidarrWorld) -> None:
    assert (await station.registration().tend()).standing is Standing.REPAIRED

    [entry] = entries(lidarr)
    assert (entry["name"], setting(entry, "url"), setting(entry, "username")) == (
        "Lockgroove",
        station.url,
        "lockgroove",
    )
    assert all(entry[switch] for switch in (*SWITCHES.values(), "onUpgrade"))
    assert (entry["tags"], setting(entry, "headers")) == ([], [])


async def test_its_test_is_stored_although_it_comes_from_afar(station: Station, lidarr: LidarrWorld) -> None:
    await station.registration().tend()

    assert [sent.status for sent in lidarr.sent] == [202]
    assert [event.type for event in await station.events()] == ["Test"]


async def test_the_secret_is_long_and_lies_sealed_in_our_database(station: Station, lidarr: LidarrWorld) -> None:
    await station.registration().tend()

    password = setting(entries(lidarr)[0], "password")
    assert len(base64.urlsafe_b64decode(password + "=")) >= 16
    async with station.database.reading() as connection:
        [sealed] = await connection.scalars(select(tables.source_secret.c.sealed))
    assert password.encode() not in sealed


async def test_a_secret_of_the_settings_is_the_one_that_lidarr_sends(station: Station, lidarr: LidarrWorld) -> None:
    station.secret = "of-the-settings"
    registration = station.registration()
    await registration.tend()
    assert setting(entries(lidarr)[0], "password") == "of-the-settings"

    station.secret = "a-new-one"
    await registration.tend()

    assert setting(entries(lidarr)[0], "password") == "a-new-one"
    assert {sent.status for sent in lidarr.sent} == {202}


async def test_whoever_registers_and_however_often_there_is_one_entry(station: Station, lidarr: LidarrWorld) -> None:
    first, second = station.registration(), station.registration()
    for registration in (first, second, first, second):
        await registration.tend()

    assert len(entries(lidarr)) == 1
    assert len(lidarr.sent) == 1  # an entry that stays the same is not tested again


async def test_what_was_repaired_is_noted_once(station: Station, lidarr: LidarrWorld) -> None:
    for registration in (station.registration(), station.registration()):
        await registration.tend()

    assert station.repairs == ["repaired our registration: Lidarr does not know our webhook"]


async def test_a_changed_address_is_repaired_in_place(station: Station, lidarr: LidarrWorld) -> None:
    station.public_url, here = "http://127.0.0.1:9", station.public_url
    lidarr.lidarr.notifications.add(foreign("Lockgroove", str(station.url)))
    station.public_url = here

    outcome = await station.registration().tend()

    assert outcome.standing is Standing.REPAIRED
    [entry] = entries(lidarr)
    assert (entry["id"], setting(entry, "url")) == (1, station.url)


@pytest.mark.parametrize("change", [{"onUpgrade": False}, {"onGrab": False, "onHealthIssue": False}, {"tags": [3]}])
async def test_switches_and_tags_are_repaired(station: Station, lidarr: LidarrWorld, change: Json) -> None:
    registration = station.registration()
    await registration.tend()
    lidarr.lidarr.notifications.rows[1].resource |= change

    assert (await registration.tend()).standing is Standing.REPAIRED

    [entry] = entries(lidarr)
    assert {name: entry[name] for name in change} == {name: [] if name == "tags" else True for name in change}


async def test_what_a_person_added_to_our_entry_stays(station: Station, lidarr: LidarrWorld) -> None:
    registration = station.registration()
    await registration.tend()
    lidarr.lidarr.notifications.rows[1].resource |= {"onGrab": False, "includeHealthWarnings": True}

    await registration.tend()

    assert entries(lidarr)[0]["includeHealthWarnings"] is True


async def test_entries_of_others_are_not_touched(station: Station, lidarr: LidarrWorld) -> None:
    theirs = foreign("Somebody else", "http://127.0.0.1:9/hook")
    lidarr.lidarr.notifications.add(dict(theirs))

    await station.registration().tend()

    assert [entry["name"] for entry in entries(lidarr)] == ["Somebody else", "Lockgroove"]
    assert entries(lidarr)[0] == theirs | {"id": 1}


@pytest.mark.parametrize("name", ["Lockgroove", "LOCKGROOVE"])
async def test_our_name_on_another_program_is_left_alone_and_told(
    station: Station, lidarr: LidarrWorld, name: str
) -> None:
    theirs = foreign(name, "http://127.0.0.1:9/hook")
    lidarr.lidarr.notifications.add(dict(theirs))

    outcome = await station.registration().tend()

    assert outcome.standing is Standing.BROKEN
    assert "rename or delete it" in outcome.text
    assert entries(lidarr) == [theirs | {"id": 1}]


async def test_a_registration_that_a_person_made_under_another_name_is_enough(
    station: Station, lidarr: LidarrWorld
) -> None:
    lidarr.lidarr.notifications.add(foreign("By hand", str(station.url)))

    assert (await station.registration().tend()).standing is Standing.GOOD
    assert [entry["name"] for entry in entries(lidarr)] == ["By hand"]


async def test_two_installations_do_not_fight_for_one_entry_for_ever(station: Station, lidarr: LidarrWorld) -> None:
    registration = station.registration()
    await registration.tend()
    other = foreign("Lockgroove", "http://127.0.0.1:9/api/webhooks/lidarr")["fields"]
    outcomes = []
    for _ in range(MAX_TAKEN_AWAY + 1):
        lidarr.lidarr.notifications.rows[1].resource |= {"fields": other}
        outcomes.append((await registration.tend()).standing)

    assert outcomes == [Standing.REPAIRED] * MAX_TAKEN_AWAY + [Standing.BROKEN]


async def test_a_hook_that_lidarr_switched_off_is_brought_back(
    station: Station, lidarr: LidarrWorld, clock: ManualClock
) -> None:
    registration = station.registration()
    await registration.tend()
    await switch_off(lidarr, station, clock)

    assert (await registration.tend()).standing is Standing.REPAIRED

    assert lidarr.lidarr.notifications.failing() == []
    assert (await registration.tend()).standing is Standing.GOOD


async def test_a_hook_whose_password_somebody_changed_is_brought_back(
    station: Station, lidarr: LidarrWorld, clock: ManualClock
) -> None:
    registration = station.registration()
    await registration.tend()
    fields = lidarr.lidarr.notifications.rows[1].resource["fields"]
    next(entry for entry in fields if entry["name"] == "password")["value"] = "guessed"
    await switch_off(lidarr, station, clock)

    await registration.tend()

    assert lidarr.lidarr.notifications.failing() == []
    assert lidarr.sent[-1].status == 202


async def test_a_dry_run_says_what_is_wrong_and_changes_nothing(station: Station, lidarr: LidarrWorld) -> None:
    [missed] = await station.registration().find()

    assert missed.correction == "would repair our registration: Lidarr does not know our webhook"
    assert entries(lidarr) == []


async def test_while_our_own_address_does_not_answer_lidarr_is_not_asked(station: Station, lidarr: LidarrWorld) -> None:
    station.seems_up = False

    assert (await station.registration().tend()).standing is Standing.WAITING
    assert entries(lidarr) == []


async def test_lidarr_may_see_us_where_we_do_not_see_ourselves(station: Station, lidarr: LidarrWorld) -> None:
    station.seems_up = False
    registration = station.registration()

    outcomes = [(await registration.tend()).standing for _ in range(MAX_PROBES)]

    assert outcomes == [Standing.WAITING] * (MAX_PROBES - 1) + [Standing.REPAIRED]


async def test_an_address_that_lidarr_cannot_reach_is_named(station: Station, lidarr: LidarrWorld) -> None:
    station.public_url = "http://127.0.0.1:9"

    outcome = await station.registration().tend()

    assert outcome.standing is Standing.BROKEN
    assert outcome.text.startswith(f"Lidarr cannot reach {station.url}: set webhooks.publicUrl")


async def test_an_address_that_refuses_lidarr_is_named(station: Station, lidarr: LidarrWorld) -> None:
    station.answers = 404

    outcome = await station.registration().tend()

    assert outcome.standing is Standing.BROKEN
    assert outcome.text.startswith(f"{station.url} refused Lidarr")


async def test_a_lidarr_that_refuses_the_key_or_is_away_is_unknown(station: Station, lidarr: LidarrWorld) -> None:
    station.lidarr_address = Address(url=lidarr.url, api_key="wrong")
    with pytest.raises(PeerRefusedKey):
        await station.registration().fill()

    station.lidarr_address = Address(url=lidarr.url, api_key=lidarr.api_key)
    await lidarr.go_down()
    with pytest.raises(PeerUnavailable):
        await station.registration().find()


async def test_nothing_is_registered_where_nobody_wants_it(station: Station, lidarr: LidarrWorld) -> None:
    station.public_url = None
    assert (await station.registration().tend()).standing is Standing.OFF

    station.public_url, station.lidarr_address = "http://127.0.0.1:9", None
    assert (await station.registration().tend()).standing is Standing.OFF
    assert lidarr.lidarr.counts.requests == []


async def test_a_keeper_shows_whether_we_are_registered(station: Station, lidarr: LidarrWorld) -> None:
    keeper = station.keeper()
    station.answers = 404
    await keeper.run_once()
    assert station.notes.is_registered is False

    station.answers = None
    await keeper.run_once()
    assert station.notes.is_registered is True


async def test_what_was_saved_in_one_lidarr_is_saved_in_another_too(
    station: Station, lidarr: LidarrWorld, clock: ManualClock, tmp_path: Path
) -> None:
    async with LidarrWorld(tmp_path / "other", ALBUMS, clock=clock) as other:
        home, registration = station.lidarr_address, station.registration()
        await registration.tend()
        station.secret = "a secret of the settings"
        station.lidarr_address = Address(url=other.url, api_key=other.api_key)
        await registration.tend()

        station.lidarr_address = home
        await registration.tend()

    assert setting(entries(lidarr)[0], "password") == "a secret of the settings"


async def test_a_lidarr_is_not_pestered_while_nobody_can_reach_us(station: Station, lidarr: LidarrWorld) -> None:
    keeper = Keeper(station.peer(), station.registration(), [], log=station.notes)
    station.seems_up, station.answers = False, 404
    assert keeper.pause == LOOK

    await keeper.run_once()
    assert keeper.pause <= WAITING_WAIT

    for _ in range(WAITING_LOOKS):
        await keeper.run_once()
    assert keeper.pause == LOOK


async def test_what_is_wrong_is_told_once_and_without_secrets(station: Station, lidarr: LidarrWorld) -> None:
    keeper = station.keeper()
    station.answers = 404
    with capture_logs() as logs:
        for _ in range(3):
            await keeper.run_once()
        station.answers = None
        for _ in range(3):
            await keeper.run_once()

    told = [line["event"] for line in logs if line["event"].startswith("lidarr.")]
    assert told == ["lidarr.registration_broken", "lidarr.registered", "lidarr.registered"]
    assert setting(entries(lidarr)[0], "password") not in str(logs)
    assert lidarr.api_key not in str(logs)


@pytest.mark.parametrize("broken", [{"fields": None}, {"fields": ["url"]}, {"name": None}, {"tags": None}])
async def test_entries_that_make_no_sense_do_no_harm(station: Station, lidarr: LidarrWorld, broken: Json) -> None:
    await station.registration().tend()

    listed = [foreign("Odd", "http://127.0.0.1:9/hook") | {"id": 9} | broken, *entries(lidarr)]

    assert find_own(listed) is not None
    assert faults(listed[0], Wanted(url=str(station.url), password="")) != []
