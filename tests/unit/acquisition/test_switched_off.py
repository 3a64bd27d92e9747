"""What is switched off counts as not set up, whatever else is set."""

import pytest
from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import config_pb2 as pb

from services.acquisition.domain.attempt import Source
from tests.unit.acquisition.test_settings import wishes


def everything() -> pb.Settings:
    return pb.Settings(
        soulseek=pb.SoulseekSettings(server="slsk.example:2416", username="me", password="x"),
        lidarr=pb.LidarrSettings(url="http://127.0.0.1:8686", api_key="key"),
        slskd=pb.SlskdSettings(url="http://127.0.0.1:5030", api_key="key", download_path="/slskd"),
        lastfm=pb.LastfmSettings(url="http://l", api_key="key"),
        musicbrainz=pb.MusicBrainzSettings(url="http://m", contact="me@example.org"),
    )


def without(subject: str) -> pb.Settings:
    settings = everything()
    getattr(settings, subject).enabled = False
    return settings


@pytest.mark.parametrize("source", Source)
def test_a_source_that_is_switched_off_is_not_configured_and_names_its_setting(source: Source) -> None:
    name = source.lower()
    off = wishes(without(name))

    problems = {
        Source.SOULSEEK: off.soulseek_problem(),
        Source.LIDARR: off.lidarr_problem(),
        Source.SLSKD: off.slskd_problem(),
    }

    assert off.configured() == set(Source) - {source}
    assert f"{name}.enabled" in problems.pop(source)
    assert set(problems.values()) == {""}


@pytest.mark.parametrize("source", Source)
def test_without_a_source_that_is_switched_off_another_is_the_first(source: Source) -> None:
    settings = without(source.lower())
    settings.acquisition.source = pb.AcquisitionSettings.Source.Value(source)
    other = next(each for each in Source if each is not source)
    settings.acquisition.fallback = pb.AcquisitionSettings.Source.Value(other)

    assert wishes(settings).sources().choose().source is other


@pytest.mark.parametrize("subject", ["lastfm", "musicbrainz"])
def test_who_is_switched_off_is_not_asked(subject: str) -> None:
    off, others = wishes(without(subject)), {"lastfm", "musicbrainz"} - {subject}

    assert getattr(off, subject)() is None
    assert all(getattr(off, other)() is not None for other in others)


def test_what_was_switched_on_counts_like_what_nobody_touched() -> None:
    settings = everything()
    settings.soulseek.enabled = settings.lidarr.enabled = settings.slskd.enabled = True

    assert wishes(settings).configured() == wishes(everything()).configured() == set(Source)


def test_the_times_of_knowledge_peers_and_searches_follow_the_settings() -> None:
    settings = everything()
    settings.lastfm.cache_ttl.CopyFrom(Duration(seconds=61))
    settings.musicbrainz.cache_ttl.CopyFrom(Duration(seconds=62))
    settings.acquisition.peer_block_duration.CopyFrom(Duration(seconds=63))
    settings.acquisition.search_ttl.CopyFrom(Duration(seconds=64))
    now = wishes(settings)
    lastfm, musicbrainz = now.lastfm(), now.musicbrainz()

    assert lastfm is not None
    assert musicbrainz is not None
    assert lastfm.cache_ttl is not None
    assert musicbrainz.cache_ttl is not None
    times = [lastfm.cache_ttl, musicbrainz.cache_ttl, now.peer_block(), now.search_time()]
    assert [time.total_seconds() for time in times] == [61, 62, 63, 64]
