"""Settings as documents: out of one installation, into another, whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
from google.protobuf import json_format
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import Conflict, FailedPrecondition
from services.config.settings import Settings
from services.config.tables import setting
from tests.integration.config.clients import change, lidarr, read, revisions, rows
from tests.integration.config.conftest import Serve, Stub, serving, settings_in

PASSPHRASE = "correct horse battery staple"


async def exported(client: Stub, passphrase: str = "") -> pb.SettingsDocument:
    return await client.ExportSettings(pb.ExportSettingsRequest(passphrase=passphrase))


async def put(client: Stub, document: pb.SettingsDocument, passphrase: str = "", **more: object) -> pb.Settings:
    request = pb.ImportSettingsRequest(document=document, passphrase=passphrase, **more)  # type: ignore[arg-type]
    return await client.ImportSettings(request)


async def test_a_document_of_one_installation_works_in_another(serve: Serve, tmp_path: Path) -> None:
    other = replace(settings_in(tmp_path / "other"), secret_key="a-root-key-of-quite-another-installation")
    async with serve() as config, config.client() as client:
        await change(client, lidarr(url="http://a", api_key="sesame"))
        document = await exported(client, PASSPHRASE)
        again = json_format.Parse(json_format.MessageToJson(document), pb.SettingsDocument())
    async with serving(other) as there, there.client() as client:
        settings = await put(client, again, PASSPHRASE)
        once_more = await exported(client, PASSPHRASE)
        (made,) = await revisions(client)

    assert (settings.lidarr.url, list(settings.secrets_set)) == ("http://a", ["lidarr.apiKey"])
    assert once_more.values == document.values
    assert made.origin == pb.SettingsRevision.IMPORT
    assert b"sesame" not in document.SerializeToString()


async def test_without_a_passphrase_no_secrets_leave(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(url="http://a", api_key="sesame"))
        document = await exported(client)

    assert (dict(document.values), document.HasField("secrets")) == ({"lidarr.url": "http://a"}, False)


async def test_what_a_document_does_not_hold_stays_unless_it_replaces(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(url="http://a"))
        document = await exported(client)
        await change(client, lidarr(url="http://b", root_folder="/music"))
        merged = await put(client, document)
        replaced = await put(client, document, replace=True)

    assert (merged.lidarr.url, merged.lidarr.root_folder) == ("http://a", "/music")
    assert not replaced.lidarr.HasField("root_folder")


async def test_a_document_without_secrets_forgets_none_and_one_with_secrets_all_others(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(url="http://a"))
        plain, sealed = await exported(client), await exported(client, PASSPHRASE)
        await change(client, lidarr(api_key="sesame"))
        kept = await put(client, plain, replace=True)
        gone = await put(client, sealed, PASSPHRASE, replace=True)

    assert (list(kept.secrets_set), list(gone.secrets_set)) == (["lidarr.apiKey"], [])


async def test_an_import_can_be_tried_dry_and_guarded_by_an_etag(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(url="http://a"))
        document = await exported(client)
        before = await change(client, lidarr(url="http://b"))
        shown = await put(client, document, validate_only=True, etag=before.etag)
        with pytest.raises(Conflict):
            await put(client, document, etag='"0"')

        assert await read(client) == before
    assert shown.lidarr.url == "http://a"


async def test_what_cannot_be_read_is_not_left_out_in_silence(alone: Settings) -> None:
    async with serving(alone) as config, config.client() as client:
        await change(client, lidarr(url="http://a", api_key="sesame"))
        async with rows(alone) as connection:
            await connection.execute(setting.update().where(setting.c.path == "lidarr.api_key").values(sealed=b"x"))
        with pytest.raises(FailedPrecondition, match=r"lidarr\.apiKey"):
            await exported(client, PASSPHRASE)

        assert dict((await exported(client)).values) == {"lidarr.url": "http://a"}
