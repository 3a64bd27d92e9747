from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import config_pb2 as pb

from services.acquisition.domain.attempt import Source
from services.acquisition.lidarr.client import LidarrAddress
from services.acquisition.live import Wishes
from services.acquisition.settings import Settings

HOME = Path("/home/lockgroove")


def wishes(settings: pb.Settings | None = None) -> Wishes:
    return Wishes(lambda: pb.Snapshot(settings=settings), home=HOME)


def test_the_environment_names_listener_and_config_service() -> None:
    settings = Settings.from_environment(
        {"LOCKGROOVE_HOME": "/data", "LOCKGROOVE_ACQUISITION_LISTEN": "127.0.0.1:1", "LOCKGROOVE_CONFIG_LISTEN": "x:2"}
    )

    assert (settings.home, settings.listen, settings.config) == (Path("/data"), "127.0.0.1:1", "x:2")


def test_an_empty_variable_counts_as_unset() -> None:
    assert Settings.from_environment({"DATABASE_URL": ""}).database is None


def test_secrets_of_the_environment_are_not_printed() -> None:
    settings = Settings.from_environment(
        {"LOCKGROOVE_SECRET_KEY": "hidden", "DATABASE_URL": "postgresql://u:hidden@h/d"}
    )

    assert "hidden" not in repr(settings)


def test_downloads_lie_in_the_data_folder_unless_said_otherwise() -> None:
    elsewhere = pb.Settings(storage=pb.StorageSettings(download_path="/fast"))

    assert (wishes().downloads(), wishes(elsewhere).downloads()) == (HOME / "downloads", Path("/fast"))


def test_soulseek_is_the_source_unless_said_otherwise() -> None:
    lidarr = pb.Settings(acquisition=pb.AcquisitionSettings(source=pb.AcquisitionSettings.LIDARR))

    assert (wishes().rules().source, wishes(lidarr).rules().source) == (Source.SOULSEEK, Source.LIDARR)


@pytest.mark.parametrize(
    "soulseek", [pb.SoulseekSettings(), pb.SoulseekSettings(username="me"), pb.SoulseekSettings(password="x")]
)
def test_without_name_and_password_there_is_no_account(soulseek: pb.SoulseekSettings) -> None:
    assert wishes(pb.Settings(soulseek=soulseek)).account() is None


def test_an_account_knows_its_server() -> None:
    soulseek = pb.SoulseekSettings(server="slsk.example:2416", username="me", password="x", listen_port=60000)

    account = wishes(pb.Settings(soulseek=soulseek)).account()

    assert account is not None
    assert (account.server_host, account.server_port, account.listen_port) == ("slsk.example", 2416, 60000)


def test_lidarr_needs_an_address_and_a_key() -> None:
    half = pb.Settings(lidarr=pb.LidarrSettings(url="http://127.0.0.1:8686"))
    whole = pb.Settings(lidarr=pb.LidarrSettings(url="http://127.0.0.1:8686", api_key="key"))

    assert wishes(half).lidarr() is None
    assert wishes(whole).lidarr() == LidarrAddress(url="http://127.0.0.1:8686", api_key="key")


def test_time_limits_follow_the_settings() -> None:
    settings = pb.Settings(
        lidarr=pb.LidarrSettings(poll_interval=Duration(seconds=5)),
        soulseek=pb.SoulseekSettings(idle_timeout=Duration(seconds=7)),
    )

    assert wishes(settings).times().poll_interval == timedelta(seconds=5)
    assert wishes(settings).limits().idle == timedelta(seconds=7)
