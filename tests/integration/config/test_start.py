"""Starts of the config service: the first key, and what refuses a start."""

import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from lockgroove.config.v1 import config_pb2 as pb

from libs.crypto.safe import WrongRootKey
from libs.errors import AppError, Unauthenticated
from services.config.app import open_app
from services.config.domain.environment import BadEnvironment
from services.config.domain.keys import AdminKeyUnusable
from services.config.settings import Settings
from tests.integration.config.conftest import ADMIN_KEY, ROOT_KEY, Serve, settings_in

SHOWN = re.compile(r"^Admin API key \(shown once\): (lg_[A-Za-z0-9_-]{43})$", re.MULTILINE)


async def start(settings: Settings) -> None:
    """A start that ends as soon as it has succeeded."""
    async with open_app(settings):
        pass


async def test_the_first_start_shows_an_admin_key_once(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    own_key = replace(settings, admin_key=None)
    await start(own_key)
    await start(own_key)

    assert len(SHOWN.findall(capfd.readouterr().out)) == 1


async def test_the_shown_key_is_accepted_and_only_its_digest_kept(
    serve: Serve, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await start(replace(settings, admin_key=None))
    (key,) = SHOWN.findall(capfd.readouterr().out)

    async with serve() as config, config.client(key) as client:
        assert (await client.GetSettings(pb.GetSettingsRequest())).etag
    kept = b"".join(path.read_bytes() for path in settings.home.iterdir())
    assert key.encode() not in kept
    assert settings.database or sha256(key.encode()).digest() in kept


async def test_a_given_admin_key_is_neither_shown_nor_stored(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await start(settings)

    assert "lg_" not in capfd.readouterr().out
    kept = b"".join(path.read_bytes() for path in settings.home.iterdir())
    assert ADMIN_KEY.encode() not in kept
    assert sha256(ADMIN_KEY.encode()).digest() not in kept


async def test_a_given_admin_key_that_is_taken_back_is_refused(serve: Serve, settings: Settings) -> None:
    await start(replace(settings, admin_key="the-admin-key-before"))

    async with serve() as config, config.client("the-admin-key-before") as client:
        with pytest.raises(Unauthenticated):
            await client.GetSettings(pb.GetSettingsRequest())


async def test_a_short_admin_key_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(AdminKeyUnusable):
        await start(settings_in(tmp_path, admin_key="lg_short"))


async def test_a_wrong_variable_refuses_the_start_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadEnvironment, match="LIDARR_POLL_INTERVAL: expected a duration in seconds such as 60s"):
        await start(replace(settings_in(tmp_path), environment={"LIDARR_POLL_INTERVAL": "1m"}))

    assert list(tmp_path.iterdir()) == []


async def test_another_root_key_refuses_the_start_and_the_right_one_still_works(
    serve: Serve, settings: Settings
) -> None:
    secret = pb.Settings(lidarr=pb.LidarrSettings(api_key="sesame"))
    async with serve() as config, config.client() as client:
        kept = await client.UpdateSettings(pb.UpdateSettingsRequest(settings=secret))

    with pytest.raises(WrongRootKey):
        await start(replace(settings, secret_key="wrong" * 8))
    async with serve() as config, config.client() as client:
        assert await client.GetSettings(pb.GetSettingsRequest()) == kept


async def test_neither_secrets_nor_keys_reach_the_log(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    secrets = pb.Settings(
        lidarr=pb.LidarrSettings(api_key="sesame-1", webhook_secret="sesame-2", url="http://127.0.0.1:8686"),
        soulseek=pb.SoulseekSettings(password="sesame-4"),
    )
    async with serve({"LIDARR_API_KEY": "sesame-5"}) as config, config.client() as client:
        await client.UpdateSettings(pb.UpdateSettingsRequest(settings=secrets))
        with pytest.raises(AppError):
            await client.UpdateSettings(
                pb.UpdateSettingsRequest(settings=pb.Settings(lidarr=pb.LidarrSettings(webhook_secret="sesame 6")))
            )
        with pytest.raises(AppError):
            await client.UpdateSettings(
                pb.UpdateSettingsRequest(settings=pb.Settings(lidarr=pb.LidarrSettings(url="http://me:sesame-3@host")))
            )

    shown = "".join(capfd.readouterr())
    assert "settings.changed" in shown
    assert "lidarr.api_key=" in shown
    assert not [text for text in ("sesame", ROOT_KEY, ADMIN_KEY) if text in shown]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SOULSEEK_LISTEN_PORT": "sixty"}, "error: SOULSEEK_LISTEN_PORT: expected a whole number\n"),
        (
            {"LOCKGROOVE_ADMIN_KEY": "short"},
            "error: LOCKGROOVE_ADMIN_KEY: expected at least 16 characters of ASCII without spaces, at most 512\n",
        ),
    ],
)
def test_a_refused_start_is_one_line_and_an_exit_status(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "services.config"],
        env={"PYTHONPATH": ":".join(sys.path), "LOCKGROOVE_HOME": str(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (1, said)
