"""`lockgroove validate`: everything that is wrong with an environment, and nothing that is not."""

import asyncio
import json
import re
from pathlib import Path

import pytest
import trustme
from typer.testing import CliRunner

from deploy.cli.environment.finding import Environment, Finding, Level
from deploy.cli.environment.names import COMMANDS, PROCESS
from deploy.cli.environment.validate import all_findings, as_json, as_text, findings, looked
from deploy.cli.environment.versions import unmet
from deploy.cli.main import app
from libs.crypto.rootkey import FILE
from services.config.catalogue import load_catalogue
from tests.contract.docs.pages import ROOT
from tests.contract.docs.test_environment import read_by_services
from tests.support.certificates import Papers

CANARY = "canary-7f3a"
SMALL = {"LOCKGROOVE_MINIMUM_DISK_GB": "0.001"}  # whatever the machine of the tests has free


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def found(home: Path, **environ: str) -> list[Finding]:
    return findings({"LOCKGROOVE_HOME": str(home), **environ})


def subjects(home: Path, level: Level, **environ: str) -> list[str]:
    return [finding.subject for finding in found(home, **environ) if finding.level is level]


def test_an_environment_that_names_nothing_is_fine_and_stays_as_it_was(home: Path) -> None:
    assert found(home) == []
    assert not home.exists()


def test_every_wrong_variable_is_found_at_once(home: Path) -> None:
    wrong = {
        "LIDARR_URL": "ftp://x",
        "SOULSEEK_LISTEN_PORT": "sixty",
        "SEARCH_TTL": "1s",
        "LOCKGROOVE_PORT": "70000",
        "LOCKGROOVE_LOG_LEVEL": "loud",
        "LOCKGROOVE_CONFIG_LISTEN": "127.0.0.1",
        "LOCKGROOVE_ADMIN_KEY": "x",
        "LOCKGROOVE_SECRET_KEY": "short",
        "DATABASE_URL": "mysql://h/d",
    }

    assert set(subjects(home, Level.ERROR, **wrong)) == set(wrong)


def test_a_wrong_variable_is_told_once_whoever_reads_it(home: Path) -> None:
    assert subjects(home, Level.ERROR, LOCKGROOVE_LOG_LEVEL="loud") == ["LOCKGROOVE_LOG_LEVEL"]


def test_two_services_at_one_address_are_found(home: Path) -> None:
    same = "127.0.0.1:50051"  # where the acquisition service is unless it is told otherwise

    assert subjects(home, Level.ERROR, LOCKGROOVE_CONFIG_LISTEN=same) == ["LOCKGROOVE_CONFIG_LISTEN"]


def test_a_path_that_is_no_text_can_be_told(home: Path) -> None:
    told = as_text(found(home, LOCKGROOVE_SECRET_KEY_FILE="/\udcff"))

    assert "\\udcff" in told
    assert told.encode()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LIDARR_APIKEY", "LIDARR_API_KEY"),
        ("LOCKGROOVE_HOMES", "LOCKGROOVE_HOME"),
        ("MUSIC_PAHT", "MUSIC_PATH"),
        ("DATABASE_URI", "DATABASE_URL"),
    ],
)
def test_a_name_that_looks_like_ours_is_a_warning_with_the_nearest_one(home: Path, name: str, meant: str) -> None:
    (warning,) = found(home, **{name: "x"})

    assert (warning.level, warning.subject) == (Level.WARNING, name)
    assert meant in warning.text


@pytest.mark.parametrize("name", ["PATH", "MUSIC", "LIDARR__AUTH__APIKEY", "SLSKD_SLSK_USERNAME", "POSTGRES_URL"])
def test_a_name_of_somebody_else_is_none_of_our_business(home: Path, name: str) -> None:
    assert found(home, **{name: "x"}) == []


def test_a_root_key_that_others_may_read_is_found(home: Path) -> None:
    home.mkdir()
    (home / FILE).write_text("k" * 40)
    (home / FILE).chmod(0o644)

    (finding,) = found(home)

    assert (finding.level, finding.subject) == (Level.ERROR, str(home / FILE))
    assert "chmod 600" in finding.text


def test_certificates_that_cannot_be_used_are_found_by_their_variable(home: Path, tmp_path: Path) -> None:
    papers = Papers(tmp_path / "tls").issue(trustme.CA(key_type=trustme.KeyType.ECDSA))
    assert found(home, **papers.environment) == []

    papers.key.write_text(CANARY)
    (wrong,) = found(home, **papers.environment)
    (missing,) = found(home, LOCKGROOVE_TLS_CERT_FILE=str(papers.certificate), LOCKGROOVE_TLS_KEY_FILE=str(papers.key))

    assert (wrong.level, wrong.subject) == (Level.ERROR, "LOCKGROOVE_TLS_KEY_FILE")
    assert (missing.level, missing.subject) == (Level.ERROR, "LOCKGROOVE_TLS_CA_FILE")
    assert CANARY not in wrong.text


def test_plain_text_beyond_this_machine_is_a_warning(home: Path, tmp_path: Path) -> None:
    everywhere = {"LOCKGROOVE_CONFIG_LISTEN": "0.0.0.0:50053"}
    papers = Papers(tmp_path / "tls").issue(trustme.CA(key_type=trustme.KeyType.ECDSA))

    assert subjects(home, Level.WARNING, **everywhere) == ["LOCKGROOVE_CONFIG_LISTEN"]
    assert found(home, **everywhere, **papers.environment) == []


def test_no_secret_is_told(home: Path) -> None:
    secrets = {spec.environment: f"{CANARY}\n" for spec in load_catalogue() if spec.secret}
    others = {
        "DATABASE_URL": f"mysql://user:{CANARY}@host/base",
        "LOCKGROOVE_ADMIN_KEY": f"{CANARY} x",
        "LOCKGROOVE_SECRET_KEY": CANARY,
        "LIDARR_URL": f"http://me:{CANARY}@host",
    }
    told = found(home, **secrets, **others)

    assert len(told) >= len(secrets) + len(others)
    assert CANARY not in as_text(told) + json.dumps(as_json(told))


@pytest.mark.parametrize(
    ("environ", "options", "code"),
    [
        ({}, [], 0),
        ({"LIDARR_APIKEY": "x"}, [], 0),
        ({"LIDARR_APIKEY": "x"}, ["--strict"], 1),
        ({"LIDARR_URL": "x"}, [], 1),
    ],
)
def test_the_command_fails_for_errors_and_if_told_so_for_warnings(
    home: Path, environ: dict[str, str], options: list[str], code: int
) -> None:
    result = CliRunner().invoke(
        app, ["validate", "--json", "--offline", *options], env={**SMALL, "LOCKGROOVE_HOME": str(home), **environ}
    )

    assert result.exit_code == code
    assert {finding["subject"] for finding in json.loads(result.stdout)["findings"]} == set(environ)


def test_everything_is_told_with_a_summary() -> None:
    assert as_text([]) == "The environment is fine."
    assert as_text(found(Path("/nowhere"), LIDARR_URL="x", LIDARR_APIKEY="x")).endswith("1 error, 1 warning")


async def test_a_look_that_fails_is_a_finding_and_keeps_no_other_from_looking() -> None:
    async def broken(_: Environment) -> list[Finding]:
        raise LookupError(CANARY)

    async def sound(_: Environment) -> list[Finding]:
        return [Finding(level=Level.WARNING, subject="x", text="seen")]

    told = await looked([broken, sound], {})

    assert [(each.subject, each.text) for each in told] == [
        ("broken", "could not be looked at: LookupError"),
        ("x", "seen"),
    ]


def test_a_disk_without_room_and_a_library_that_is_not_mounted_are_found(home: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"

    told = _here(home, MUSIC_PATH=str(library), LOCKGROOVE_MINIMUM_DISK_GB="1e9")

    assert {(each.level, each.subject, each.text.split()[1]) for each in told} == {
        (Level.ERROR, "LOCKGROOVE_HOME", "has"),
        (Level.ERROR, "DOWNLOAD_PATH", "has"),
        (Level.ERROR, "MUSIC_PATH", "is"),
        (Level.ERROR, "MUSIC_PATH", "has"),
    }
    assert not home.exists()


def test_a_folder_that_cannot_be_written_to_is_found_unless_lidarr_writes_there(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "music"
    file.write_text("no folder")

    (wrong,) = _here(home, **SMALL, MUSIC_PATH=str(file))

    assert (wrong.level, wrong.subject) == (Level.ERROR, "MUSIC_PATH")
    assert _here(home, **SMALL, MUSIC_PATH=str(file), LIBRARY_OWNER="LIDARR") == []


def test_libraries_that_are_too_old_or_too_new_are_told_by_the_clause_they_break() -> None:
    assert unmet("7.36.0", ">=7.35.1,<8") is None
    assert unmet("7.35", ">=7.35.1,<8") == ">=7.35.1"
    assert unmet("8.0.0rc1", ">=7.35.1,<8") == "<8"
    assert unmet("1.7.1", "==1.7.1") is None
    assert unmet("1.7.10", "==1.7.1") == "==1.7.1"


def _here(home: Path, **environ: str) -> list[Finding]:
    return asyncio.run(all_findings({"LOCKGROOVE_HOME": str(home), **environ}, offline=True))


def test_every_variable_that_a_service_or_a_command_reads_is_known() -> None:
    commands = re.findall(r'"(LOCKGROOVE(?:_[A-Z]+)+)"', _source("deploy/cli"))

    assert (read_by_services() | set(commands)) - {spec.environment for spec in load_catalogue()} <= PROCESS | COMMANDS


def _source(*folders: str) -> str:
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py") if "stubs" not in file.parts]
    return "".join(file.read_text() for file in files)
