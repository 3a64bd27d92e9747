from pathlib import Path

import pytest
import typer.main

from deploy.cli.main import app
from deploy.cli.running.processes import SUITE
from deploy.container import entrypoint


def test_the_services_are_those_of_the_suite() -> None:
    assert set(entrypoint.SERVICES) == {program.name for program in SUITE}


def test_every_command_that_is_named_exists() -> None:
    commands = set(getattr(typer.main.get_command(app), "commands"))  # noqa: B009 (a group, says typer nowhere)

    assert entrypoint.KEEPING | {"up"} <= commands
    assert not commands & {*entrypoint.SERVICES, entrypoint.HEALTHCHECK}


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ("up", ["LOCKGROOVE_HOME", "DOWNLOAD_PATH", "MUSIC_PATH"]),
        ("acquisition", ["LOCKGROOVE_HOME", "DOWNLOAD_PATH", "MUSIC_PATH"]),
        ("gateway", ["LOCKGROOVE_HOME"]),
        ("backup", ["LOCKGROOVE_HOME"]),
        ("health", []),
        ("healthcheck", []),
        ("--help", []),
    ],
)
def test_a_command_needs_the_folders_that_it_works_in(command: str, variables: list[str]) -> None:
    given = {"DOWNLOAD_PATH": "/downloads", "MUSIC_PATH": "/music"}

    assert [folder.variable for folder in entrypoint.needed_folders(command, given)] == variables


def test_a_schedule_of_backups_needs_the_folder_that_is_named_for_them() -> None:
    given = {"LOCKGROOVE_BACKUP_PATH": "/backups"}

    assert [folder.variable for folder in entrypoint.needed_folders("up", given)] == [
        "LOCKGROOVE_HOME",
        "LOCKGROOVE_BACKUP_PATH",
    ]
    assert "LOCKGROOVE_BACKUP_PATH" not in [folder.variable for folder in entrypoint.needed_folders("config", given)]


def test_the_command_of_the_environment_is_the_one_beside_its_python() -> None:
    program, *arguments = entrypoint.command_line(["backup", "--json"])

    assert Path(program).name == "lockgroove"
    assert Path(program).exists()
    assert arguments == ["backup", "--json"]


def test_half_an_account_is_told_of() -> None:
    told = list(entrypoint.integrations("up", {"LIDARR_URL": "http://nas:8686", "SOULSEEK_PASSWORD_FILE": "/run/x"}))

    assert [text.partition(":")[0] for text in told] == ["SOULSEEK_USERNAME", "LIDARR_API_KEY"]
    assert list(entrypoint.integrations("gateway", {"LIDARR_URL": "http://nas:8686"})) == []
