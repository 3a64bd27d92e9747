from pathlib import Path

import pytest

from deploy.container import secretfiles
from libs.rpc.tlsfiles import AUTHORITY, CERTIFICATE, KEY
from services.config.catalogue import load_catalogue


def test_every_secret_of_the_settings_may_lie_in_a_file() -> None:
    of_settings = {spec.environment for spec in load_catalogue() if spec.secret}

    assert set(secretfiles.SECRETS) == of_settings | {"DATABASE_URL", "REDIS_URL", "LOCKGROOVE_ADMIN_KEY"}


def test_the_text_of_the_file_becomes_the_variable(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush hush\n")

    assert secretfiles.with_secrets({"SOULSEEK_PASSWORD_FILE": str(file), "TZ": ""}) == {
        "SOULSEEK_PASSWORD": "hush hush",
        "TZ": "",
    }


def test_files_that_services_read_themselves_stay_named() -> None:
    own = {"LOCKGROOVE_SECRET_KEY_FILE": "/key", CERTIFICATE: "/crt", KEY: "/key", AUTHORITY: "/ca"}

    assert secretfiles.with_secrets(own) == own
    assert list(secretfiles.problems(own)) == []


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"x" * 10_001])
def test_what_holds_no_secret_is_named_without_its_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)

    [problem] = secretfiles.problems({"LIDARR_API_KEY_FILE": str(file)})

    assert problem.startswith(f"LIDARR_API_KEY_FILE: {file} holds ")
    assert "lines" not in problem.removeprefix(f"LIDARR_API_KEY_FILE: {file}")


def test_a_secret_in_two_places_is_refused(tmp_path: Path) -> None:
    [problem] = secretfiles.problems({"DATABASE_URL": "postgresql://", "DATABASE_URL_FILE": str(tmp_path / "gone")})

    assert problem.endswith("take one of them away")
