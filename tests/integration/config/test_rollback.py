"""Revisions and the way back, as a client meets them."""

import asyncio

import pytest
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from services.config.settings import Settings
from services.config.tables import setting_revision
from tests.integration.config.clients import change, lidarr, read, revisions, rows
from tests.integration.config.conftest import SERVICE_TOKEN, Config, Serve, Stub, serving

Change = pb.SettingsRevision.Change


async def back(client: Stub, revision: int, *, etag: str = "", validate_only: bool = False) -> pb.Settings:
    request = pb.RollbackSettingsRequest(revision=revision, etag=etag, validate_only=validate_only)
    return await client.RollbackSettings(request)


async def test_a_change_is_told_with_who_when_and_what(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(url="http://a", api_key="sesame"))
        (told,) = await revisions(client)
        by_number = await client.GetSettingsRevision(pb.GetSettingsRevisionRequest(revision=told.revision))

    secret, url = told.changes
    assert by_number == told
    assert (told.actor, told.origin) == ("LOCKGROOVE_ADMIN_KEY", pb.SettingsRevision.UPDATE)
    assert url == Change(path="lidarr.url", value="http://a")
    assert (secret.path, secret.value, len(secret.fingerprint)) == ("lidarr.apiKey", "", 12)


async def test_revisions_are_asked_for_by_a_setting_in_json_spelling(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(api_key="sesame"))
        await change(client, lidarr(url="http://a"))
        listed = await client.ListSettingsRevisions(pb.ListSettingsRevisionsRequest(setting="lidarr.apiKey"))
        with pytest.raises(InvalidArgument, match=r"did you mean lidarr\.apiKey\?") as caught:
            await client.ListSettingsRevisions(pb.ListSettingsRevisionsRequest(setting="lidarr.api_key"))

    assert [each.path for revision in listed.revisions for each in revision.changes] == ["lidarr.apiKey"]
    assert caught.value.violations[0].field == "setting"


async def test_a_rollback_brings_back_what_was_stored_secrets_included(serve: Serve) -> None:
    async with serve({"LIDARR_ROOT_FOLDER": "/music"}) as config, config.client() as client:
        await change(client, lidarr(url="http://a", api_key="sesame"))
        then = (await revisions(client))[0].revision
        await change(client, lidarr(url="http://b", api_key="other", root_folder="/elsewhere"))
        settings = await back(client, then)
        made = (await revisions(client))[0]
        obeyed = await obeyed_key(config, until="sesame")

    assert (settings.lidarr.url, settings.lidarr.root_folder) == ("http://a", "/music")
    assert obeyed == "sesame"
    assert (made.origin, made.actor) == (pb.SettingsRevision.ROLLBACK, "LOCKGROOVE_ADMIN_KEY")
    assert {each.path for each in made.changes if each.reset} == {"lidarr.rootFolder"}


async def test_a_rollback_to_zero_forgets_all_that_was_stored(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        first = await read(client)
        await change(client, lidarr(url="http://a", api_key="sesame"))
        settings = await back(client, 0)

    assert (settings.lidarr, settings.sources, list(settings.secrets_set)) == (first.lidarr, first.sources, [])


async def test_a_dry_rollback_changes_nothing(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        before = await change(client, lidarr(url="http://a"))
        shown = await back(client, 0, validate_only=True)

        assert not shown.lidarr.HasField("url")
        assert await read(client) == before


async def test_a_rollback_with_an_outdated_etag_is_refused(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        current = (await change(client, lidarr(url="http://a"))).etag
        with pytest.raises(Conflict) as caught:
            await back(client, 0, etag='"0"')

    assert caught.value.metadata == {"etag": current}


async def test_a_rollback_to_a_revision_that_never_was_is_refused(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        with pytest.raises(NotFound, match="there is no revision 99"):
            await back(client, 99)


async def test_a_rollback_to_secrets_that_nobody_kept_names_them(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(api_key="sesame"))
        then = (await revisions(client))[0].revision
        await change(client, lidarr(api_key="other"))
        await forget_secrets(alone)
        with pytest.raises(FailedPrecondition, match=r"lidarr\.apiKey") as caught:
            await back(client, then)

    assert caught.value.code_reason == "SECRETS_LOST"
    assert caught.value.metadata == {"settings": "lidarr.apiKey"}


async def test_a_secret_that_nobody_kept_is_no_loss_while_it_is_in_force(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(api_key="sesame"))
        then = (await revisions(client))[0].revision
        await change(client, lidarr(url="http://a"))
        await forget_secrets(alone)
        restored = await back(client, then)

    assert list(restored.secrets_set) == ["lidarr.apiKey"]
    assert not restored.lidarr.HasField("url")


async def obeyed_key(config: Config, *, until: str) -> str:
    """Lidarr's key as services get it, as soon as it is that one."""
    async with config.client(SERVICE_TOKEN) as client, asyncio.timeout(10):
        async for snapshot in client.WatchSnapshots(pb.WatchSnapshotsRequest()):
            if snapshot.settings.lidarr.api_key == until:
                break
    return snapshot.settings.lidarr.api_key


async def forget_secrets(settings: Settings) -> None:
    """Leaves the history as a release made it that kept fingerprints only."""
    async with rows(settings) as connection:
        await connection.execute(setting_revision.update().values(sealed=None))
