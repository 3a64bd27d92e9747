"""Values of settings on the command line: typed by the catalogue, and no secret among them."""

import pytest
import typer

from deploy.cli.resources.options import equals, every, one_of
from deploy.cli.resources.values import Catalogue, assignments

CATALOGUE = Catalogue(
    {
        "settings": [
            {"path": "lidarr.url", "type": "TEXT"},
            {"path": "lidarr.apiKey", "type": "TEXT", "secret": True},
            {"path": "lidarr.pollInterval", "type": "DURATION"},
            {"path": "acquisition.concurrency", "type": "INTEGER"},
            {"path": "acquisition.allowPartial", "type": "BOOLEAN"},
            {"path": "acquisition.source", "type": "CHOICE"},
        ]
    }
)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("lidarr.url=http://nas:8686/?a=b", "http://nas:8686/?a=b"),
        ("lidarr.pollInterval=30", "30s"),
        ("lidarr.pollInterval=1.5s", "1.5s"),
        ("acquisition.concurrency=3", 3),
        ("acquisition.allowPartial=On", True),
        ("acquisition.source=lidarr", "LIDARR"),
    ],
)
def test_a_value_has_the_type_of_its_setting(given: str, value: object) -> None:
    assert list(assignments(CATALOGUE, [given]).values()) == [value]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("lidarr.apiKey=canary", "is a secret"),
        ("lidarr.ulr=x", "did you mean lidarr.url"),
        ("lidarr.poll_interval=1s", "did you mean lidarr.pollInterval"),
        ("acquisition.concurrency=many", "no whole number"),
        ("acquisition.allowPartial=maybe", "neither true nor false"),
        ("lidarr.url", "say lidarr.url=VALUE"),
    ],
)
def test_what_is_no_value_is_refused_and_no_secret_repeated(given: str, problem: str) -> None:
    with pytest.raises(typer.BadParameter, match=problem) as refused:
        assignments(CATALOGUE, [given])

    assert "canary" not in str(refused.value)


def test_a_setting_is_given_once() -> None:
    with pytest.raises(typer.BadParameter, match="twice"):
        assignments(CATALOGUE, ["lidarr.url=http://a", "lidarr.url=http://b"])


def test_what_people_type_stays_within_its_condition() -> None:
    typed = every(
        *equals({"artist": 'x" OR state != "', "batch": ""}), 'a = "b" OR c = "d"', one_of("state", ["A", "B"])
    )

    assert typed == '(artist = "x\\" OR state != \\"") AND (a = "b" OR c = "d") AND (state = "A" OR state = "B")'
