"""How an error ends a command: a line for people, one document for programs, the status for both."""

import json
from dataclasses import dataclass

import pytest

from deploy.cli import main
from deploy.cli.exits import Exit
from deploy.cli.output import Printed, print_json
from deploy.cli.suite import KEY_VARIABLES
from libs.errors import InvalidArgument


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed where."""

    status: object
    output: str
    told: str


class Lockgroove:
    """Runs commands in this process, as `.venv/bin/lockgroove` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Ran:
        self._monkeypatch.setattr("sys.argv", ["lockgroove", *arguments])
        with pytest.raises(SystemExit) as ended:
            main.main()
        return Ran(ended.value.code, *self._capsys.readouterr())


@pytest.fixture
def lockgroove(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lockgroove:
    monkeypatch.setattr(Printed, "documents", 0)
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return Lockgroove(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("settings", "get"), Exit.FAILED, "NO_KEY"),
        (("settings", "get", "--wrong"), Exit.USAGE, "USAGE"),
        (("watch", "--for", "never"), Exit.USAGE, "USAGE"),
    ],
    ids=["error", "option", "value"],
)
def test_with_json_an_error_is_the_document(
    lockgroove: Lockgroove, arguments: tuple[str, ...], status: Exit, reason: str
) -> None:
    plain = lockgroove(*arguments)
    ran = lockgroove(*arguments, "--json")

    error = json.loads(ran.output)["error"]
    assert (plain.status, ran.status) == (status, status)
    assert (error["reason"], error["violations"]) == (reason, [])
    assert error["message"] in ran.told
    assert plain.output == ""


def test_fields_that_are_wrong_are_named_and_a_terminal_obeys_nothing(
    lockgroove: Lockgroove, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise InvalidArgument.field("album.title", "is \x1b[2J")

    monkeypatch.setattr(main, "app", lambda **_: refuse())
    ran = lockgroove("--json")

    assert json.loads(ran.output)["error"]["violations"][0]["field"] == "album.title"
    assert "\x1b" not in ran.told


def test_an_error_behind_the_document_leaves_it_the_only_one(
    lockgroove: Lockgroove, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off() -> None:
        print_json({"complete": False})
        raise InvalidArgument("it was lost")

    monkeypatch.setattr(main, "app", lambda **_: break_off())
    ran = lockgroove("--json")

    assert json.loads(ran.output) == {"complete": False}
    assert (ran.status, ran.told) == (Exit.FAILED, "error: it was lost\n")
