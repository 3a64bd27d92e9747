from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import config_pb2 as pb

from services.acquisition.domain.attempt import Source
from services.acquisition.domain.wish import Scope
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

    assert (wishes().sources().primary, wishes(lidarr).sources().primary) == (Source.SOULSEEK, Source.LIDARR)


def test_no_fallback_is_the_end_unless_said_otherwise() -> None:
    none = pb.Settings(acquisition=pb.AcquisitionSettings(fallback=pb.AcquisitionSettings.NONE))
    slskd = pb.Settings(acquisition=pb.AcquisitionSettings(fallback=pb.AcquisitionSettings.SLSKD))

    fallbacks = [wishes(settings).rules().sources.fallback for settings in (None, none, slskd)]

    assert fallbacks == [None, None, Source.SLSKD]


def test_a_source_is_configured_with_an_account_or_with_an_address_and_a_key() -> None:
    settings = pb.Settings(
        soulseek=pb.SoulseekSettings(server="slsk.example:2416", username="me", password="x"),
        lidarr=pb.LidarrSettings(url="http://127.0.0.1:8686"),
        slskd=pb.SlskdSettings(url="http://127.0.0.1:5030", api_key="key", download_path="/slskd"),
    )

    assert wishes(settings).configured() == {Source.SOULSEEK, Source.SLSKD}
    assert wishes().configured() == frozenset()


def test_a_slskd_whose_folder_is_not_seen_only_sends_webhooks() -> None:
    settings = pb.Settings(slskd=pb.SlskdSettings(url="http://127.0.0.1:5030", api_key="key"))

    assert wishes(settings).configured() == frozenset()
    assert "slskd.downloadPath" in wishes(settings).slskd_problem()


def test_each_source_has_its_own_concurrency_or_that_of_all() -> None:
    settings = pb.Settings(acquisition=pb.AcquisitionSettings(concurrency=3), slskd=pb.SlskdSettings(concurrency=7))

    assert [wishes(settings).concurrency(source) for source in Source] == [3, 3, 7]
    assert wishes().concurrency(Source.LIDARR) == 4


def test_nothing_may_be_what_is_set() -> None:
    settings = pb.Settings(
        storage=pb.StorageSettings(minimum_free_mib=0), acquisition=pb.AcquisitionSettings(minimum_bitrate=0)
    )

    assert (wishes(settings).minimum_free(), wishes(settings).taste().minimum_bitrate) == (0, 0)
    assert (wishes().minimum_free(), wishes().taste().minimum_bitrate) == (500 * 1024 * 1024, 128)


def test_formats_are_in_the_order_of_the_setting() -> None:
    settings = pb.Settings(acquisition=pb.AcquisitionSettings(formats="mp3,flac", allow_partial=True))

    assert (wishes(settings).taste().formats, wishes(settings).taste().allow_partial) == (("mp3", "flac"), True)


def test_the_same_album_is_one_of_everybody_unless_said_otherwise() -> None:
    requester = pb.Settings(acquisition=pb.AcquisitionSettings(dedup_scope=pb.AcquisitionSettings.REQUESTER))

    assert (wishes().scope(), wishes(requester).scope()) == (Scope.GLOBAL, Scope.REQUESTER)


def test_where_lidarr_owns_the_library_no_music_folder_is_asked_for() -> None:
    lidarr = pb.Settings(storage=pb.StorageSettings(library_owner=pb.StorageSettings.LIDARR))

    assert (wishes().rules().imports, wishes(lidarr).rules().imports) == (True, False)


def test_musicbrainz_is_asked_only_with_a_contact_and_lastfm_only_with_a_key() -> None:
    addresses = pb.Settings(
        musicbrainz=pb.MusicBrainzSettings(url="http://m"), lastfm=pb.LastfmSettings(url="http://l")
    )
    both = pb.Settings(
        musicbrainz=pb.MusicBrainzSettings(url="http://m", contact="me@example.org"),
        lastfm=pb.LastfmSettings(url="http://l", api_key="key"),
    )

    assert (wishes(addresses).musicbrainz(), wishes(addresses).lastfm()) == (None, None)
    assert None not in (wishes(both).musicbrainz(), wishes(both).lastfm())


def test_ended_ones_are_kept_for_thirty_and_sixty_days_unless_said_otherwise() -> None:
    short = pb.Settings(acquisition=pb.AcquisitionSettings(retention_days=1, batch_retention_days=2))

    kept = [wishes(settings).retention() for settings in (None, short)]

    assert [(each.acquisitions, each.batches) for each in kept] == [(30, 60), (1, 2)]


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
