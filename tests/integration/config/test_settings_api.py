"""GetSettings and UpdateSettings, as a client meets them."""

import asyncio
from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import AppError, Conflict, InvalidArgument, PermissionDenied, Unauthenticated
from services.config.settings import Settings
from tests.integration.config.clients import change, lidarr, read
from tests.integration.config.conftest import Config, Serve, serving
from tests.support.ports import free_ports

LIDARR = {"LIDARR_URL": "http://from-environment", "LIDARR_API_KEY": "key-from-environment"}


async def test_the_defaults_are_in_force_at_first(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        settings = await read(client)

    assert settings.soulseek.idle_timeout == Duration(seconds=60)
    assert settings.sources["soulseek.idleTimeout"] == pb.Settings.DEFAULT


async def test_the_environment_is_the_fallback(serve: Serve) -> None:
    async with serve(LIDARR) as config, config.client() as client:
        settings = await read(client)

    assert settings.lidarr.url == LIDARR["LIDARR_URL"]
    assert settings.sources["lidarr.url"] == pb.Settings.ENVIRONMENT


async def test_a_changed_value_is_in_force(serve: Serve) -> None:
    async with serve(LIDARR) as config, config.client() as client:
        settings = await change(client, lidarr(url="http://changed"), "lidarr.url")

        assert settings.lidarr.url == "http://changed"
        assert settings.sources["lidarr.url"] == pb.Settings.DATABASE
        assert await read(client) == settings


async def test_values_outlive_a_restart(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        settings = await change(client, lidarr(url="http://kept", api_key="sesame"), "lidarr.url", "lidarr.api_key")

    async with serve() as config, config.client() as client:
        assert await read(client) == settings


async def test_a_secret_is_never_returned_but_listed(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        settings = await change(client, lidarr(api_key="sesame"), "lidarr.api_key")

    assert not settings.lidarr.HasField("api_key")
    assert list(settings.secrets_set) == ["lidarr.apiKey"]


async def test_a_named_setting_without_a_value_goes_back_to_its_fallback(serve: Serve) -> None:
    async with serve(LIDARR) as config, config.client() as client:
        await change(client, lidarr(url="http://changed"), "lidarr.url")
        settings = await change(client, pb.Settings(), "lidarr.url")

    assert settings.lidarr.url == LIDARR["LIDARR_URL"]


async def test_values_outside_the_mask_do_not_change(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        settings = await change(client, lidarr(url="http://a", root_folder="/music"), "lidarr.url")

    assert not settings.lidarr.HasField("root_folder")


async def test_without_a_mask_the_values_in_the_body_change(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        await change(client, lidarr(root_folder="/music"))
        settings = await change(client, lidarr(url="http://a"))

    assert (settings.lidarr.url, settings.lidarr.root_folder) == ("http://a", "/music")


async def test_a_subject_in_the_mask_means_all_of_its_settings(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        await change(client, lidarr(root_folder="/music", api_key="sesame"))
        settings = await change(client, lidarr(url="http://a"), "lidarr")

    assert settings.lidarr.url == "http://a"
    assert not settings.lidarr.HasField("root_folder")
    assert not settings.secrets_set


@pytest.mark.parametrize("path", ["sources", "secrets_set"])
async def test_what_is_read_only_cannot_be_changed(serve: Serve, path: str) -> None:
    async with serve() as config, config.client() as client:
        with pytest.raises(InvalidArgument, match=f"{path} is read-only") as caught:
            await change(client, lidarr(url="http://a"), "lidarr.url", path)

    assert caught.value.violations[0].field == "update_mask"


async def test_what_was_read_can_be_sent_back(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        before = await change(client, lidarr(url="http://a", api_key="sesame"))

        assert await change(client, before, "lidarr.url", "etag") == before


@pytest.mark.parametrize("path", ["*", "lidarr.apikey"])
async def test_an_unknown_path_is_refused(serve: Serve, path: str) -> None:
    async with serve() as config, config.client() as client:
        with pytest.raises(InvalidArgument) as caught:
            await change(client, lidarr(), path)

    assert caught.value.code_reason == "UNKNOWN_SETTING"
    assert caught.value.violations[0].field == "update_mask"


async def test_a_value_that_breaks_a_rule_is_refused_by_its_field(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        with pytest.raises(InvalidArgument) as caught:
            await change(client, lidarr(quality_profile_id=0), "lidarr.quality_profile_id")

    assert caught.value.violations[0].field == "settings.lidarr.quality_profile_id"


async def test_a_value_with_control_characters_is_refused_by_its_field(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        with pytest.raises(InvalidArgument) as caught:
            await change(client, lidarr(root_folder="/mu\0sic"), "lidarr.root_folder")

    assert caught.value.violations[0].field == "settings.lidarr.root_folder"


async def test_a_refused_change_changes_nothing(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        before = await read(client)
        with pytest.raises(InvalidArgument):
            await change(client, lidarr(url="http://a", quality_profile_id=-1))

        assert await read(client) == before


async def test_a_change_makes_a_new_etag(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        before = await read(client)
        after = await change(client, lidarr(url="http://a"))

    assert after.etag != before.etag


async def test_the_same_change_twice_is_one(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        once = await change(client, lidarr(url="http://a", api_key="sesame"))

        assert await change(client, lidarr(url="http://a", api_key="sesame")) == once


async def test_an_outdated_etag_is_refused_with_the_current_one(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        outdated = (await read(client)).etag
        current = (await change(client, lidarr(url="http://a"))).etag
        with pytest.raises(Conflict) as caught:
            await change(client, pb.Settings(etag=outdated, lidarr=pb.LidarrSettings(url="http://b")))

    assert (caught.value.code_reason, caught.value.metadata) == ("SETTINGS_CHANGED", {"etag": current})


async def test_of_simultaneous_changes_with_one_etag_through_two_replicas_one_is_made(
    serve: Serve, settings: Settings
) -> None:
    other = replace(settings, listen=f"127.0.0.1:{free_ports(1)[0]}")
    async with serve() as one, serving(other) as two, one.client() as first, two.client() as second:
        etag = (await read(first)).etag
        sent = [pb.Settings(etag=etag, lidarr=pb.LidarrSettings(url=f"http://{n}")) for n in range(20)]
        tries = [change((first, second)[n % 2], each) for n, each in enumerate(sent)]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        (made,) = [each for each in outcomes if isinstance(each, pb.Settings)]

        assert await read(second) == made
    refused = [each for each in outcomes if isinstance(each, Conflict)]
    assert [each.metadata for each in refused] == [{"etag": made.etag}] * 19


async def test_a_dry_run_answers_as_if_it_were_done_and_keeps_nothing(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        before = await read(client)
        shown = await change(client, lidarr(url="http://a", api_key="sesame"), validate_only=True)

        assert (shown.lidarr.url, list(shown.secrets_set), shown.etag) == ("http://a", ["lidarr.apiKey"], before.etag)
        assert await read(client) == before


async def test_a_dry_run_refuses_what_the_change_would(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        with pytest.raises(InvalidArgument, match=r"settings\.lidarr\.quality_profile_id"):
            await change(client, lidarr(quality_profile_id=0), validate_only=True)
        with pytest.raises(Conflict):
            await change(client, pb.Settings(etag='"99"'), validate_only=True)


async def test_simultaneous_changes_without_an_etag_are_all_made(serve: Serve) -> None:
    sent = [
        lidarr(url="http://a"),
        lidarr(root_folder="/music"),
        pb.Settings(soulseek=pb.SoulseekSettings(username="ada")),
        pb.Settings(acquisition=pb.AcquisitionSettings(concurrency=2)),
    ]
    async with serve() as config, config.client() as client:
        await asyncio.gather(*(change(client, each) for each in sent))
        settings = await read(client)

    in_database = {path for path, source in settings.sources.items() if source == pb.Settings.DATABASE}
    assert in_database == {"lidarr.url", "lidarr.rootFolder", "soulseek.username", "acquisition.concurrency"}


async def test_a_stranger_is_refused(serve: Serve) -> None:
    async with serve() as config:
        assert isinstance(await refusal(config, "lg_nobody-holds-this"), Unauthenticated)


async def test_an_administrator_may_not_read_snapshots(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        with pytest.raises(PermissionDenied):
            await anext(aiter(client.WatchSnapshots(pb.WatchSnapshotsRequest())))


async def refusal(config: Config, credential: str) -> AppError:
    async with config.client(credential) as client:
        with pytest.raises(AppError) as caught:
            await read(client)
    return caught.value
