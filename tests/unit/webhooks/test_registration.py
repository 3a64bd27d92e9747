"""Which of Lidarr's connections is ours, and what is wrong with it."""

from typing import Any

import pytest

from services.webhooks.domain.registration import (
    SWITCHES,
    Wanted,
    faults,
    find_by_hand,
    find_name_taken,
    find_own,
    is_unhealthy,
    new_entry,
    repaired,
    webhook_url,
)
from services.webhooks.settings import Settings

URL = "http://lockgroove:3006/api/webhooks/lidarr"
WANTED = Wanted(url=URL, password="secret")
Json = dict[str, Any]


def entry(name: str = "Lockgroove", url: str = URL, **changes: Any) -> Json:
    template = {"id": 1, "name": name, "implementation": "Webhook", "fields": [{"name": "url", "value": url}]}
    return repaired(template | dict.fromkeys(SWITCHES, False), Wanted(url=url, password="********")) | changes


@pytest.mark.parametrize("url", [URL, "https://music.example.org/base/api/webhooks/lidarr"])
def test_an_entry_of_our_name_that_leads_to_a_lockgroove_is_ours(url: str) -> None:
    ours = entry(url=url)

    assert find_own([entry("Other"), ours]) is ours


@pytest.mark.parametrize(
    "foreign", [entry("Other"), entry("lockgroove"), entry(url="http://other/hook"), entry(implementation="Email")]
)
def test_any_other_entry_is_not(foreign: Json) -> None:
    assert find_own([foreign]) is None


def test_a_name_is_taken_whatever_its_case() -> None:
    assert find_name_taken([entry("LockGroove", url="http://other/hook")]) is not None
    assert find_name_taken([entry()]) is None


def test_an_entry_by_hand_is_one_with_our_address_and_another_name() -> None:
    assert find_by_hand([entry(), entry("By hand")], URL) == entry("By hand")
    assert find_by_hand([entry()], URL) is None


def test_a_good_entry_has_no_faults() -> None:
    assert faults(entry(), WANTED) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"onUpgrade": False}, "switched off: onUpgrade"),
        ({"tags": [1]}, "tags"),
        ({"fields": entry(url="http://old/api/webhooks/lidarr")["fields"]}, "instead of"),
        ({"fields": [{"name": "url", "value": URL}, {"name": "method", "value": 2}]}, "POST"),
    ],
)
def test_each_fault_is_named(changes: Json, words: str) -> None:
    assert words in "; ".join(faults(entry(**changes), WANTED))


def test_a_secret_in_a_header_that_everybody_can_read_is_a_fault() -> None:
    fields = [*entry()["fields"], {"name": "headers", "value": [{"key": "X-Webhook-Secret", "value": "secret"}]}]

    assert "credential" in "; ".join(faults(entry(fields=fields[::-1]), WANTED))
    assert faults(repaired(entry(fields=fields), WANTED), WANTED) == []


def test_a_new_entry_follows_the_schema_of_this_lidarr() -> None:
    schema = [{"implementation": "Email"}, entry("") | {"id": 0, "presets": [], "infoLink": "about"}]
    made = new_entry(schema, WANTED)

    assert made is not None
    assert (made["name"], made["infoLink"], faults(made, WANTED)) == ("Lockgroove", "about", [])
    assert made.keys().isdisjoint({"id", "presets"})
    assert new_entry([{"implementation": "Email"}], WANTED) is None


@pytest.mark.parametrize(
    ("message", "ill"),
    [
        ("Notifications unavailable due to failures: Other, Lockgroove", True),
        ("Benachrichtigungen wegen Fehlern nicht verfügbar: Lockgroove", True),
        ("All notifications are unavailable due to failures", True),
        ("Notifications unavailable due to failures: Other", False),
    ],
)
def test_lidarrs_health_names_who_is_meant_or_nobody(message: str, ill: bool) -> None:
    health = [{"source": "NotificationStatusCheck", "message": message}, {"source": "UpdateCheck", "message": "new"}]

    assert is_unhealthy(health, [entry("Other"), entry()], entry()) is ill


def test_the_password_is_in_no_text() -> None:
    assert "secret" not in repr(WANTED)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:3007"),
        ("::", "http://[::1]:3007"),
        ("192.0.2.1", "http://192.0.2.1:3007"),
        ("nas.local", "http://nas.local:3007"),
    ],
)
def test_our_own_address_is_where_the_gateway_can_be_reached(host: str, url: str) -> None:
    settings = Settings.from_environment({"LOCKGROOVE_HOST": host, "LOCKGROOVE_PORT": "3007"})

    assert settings.gateway == url
    assert webhook_url(f"{url}/") == f"{url}/api/webhooks/lidarr"
