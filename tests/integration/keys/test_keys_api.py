"""Keys as administrators and their holders see them, on the gRPC port itself."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from lockgroove.api.v1 import annotations_pb2 as api
from lockgroove.config.v1 import config_pb2
from lockgroove.config.v1 import keys_pb2 as pb
from sqlalchemy import select

from libs.errors import Conflict, FailedPrecondition, InvalidArgument, PermissionDenied
from libs.sql.engine import open_database
from libs.sql.url import database_url
from services.config.app import open_app
from services.config.settings import Settings
from services.config.tables import api_key
from tests.integration.config.conftest import SERVICE_TOKEN, Config, serving, settings_in
from tests.integration.keys.conftest import ON_BOTH, Client, becomes, client, good, make, refusal
from tests.support.new_home import make_schema

SECRET = re.compile(r"lg_[A-Za-z0-9_-]{43}")


@ON_BOTH
async def test_a_key_is_told_once_and_is_good_at_once(config: Config, admin: Client) -> None:
    made = await make(admin, "phone", user="ann", scope=api.REQUEST)
    assert SECRET.fullmatch(made.secret)
    await becomes(partial(good, config, made.secret), True)

    async with client(config, made.secret) as holder:
        caller = await holder.GetCaller(pb.GetCallerRequest())
    assert caller == pb.Caller(user="ann", title="phone", scopes=[api.REQUEST])
    read = await admin.GetKey(pb.GetKeyRequest(name=made.name))
    listed = (await admin.ListKeys(pb.ListKeysRequest())).keys
    assert [read.secret, *(key.secret for key in listed)] == ["", ""]
    assert (read.hint, read.creator, read.state) == (made.secret[:7], "LOCKGROOVE_ADMIN_KEY", pb.Key.ACTIVE)


async def test_the_same_request_again_is_the_same_key_without_its_secret(admin: Client) -> None:
    request = pb.CreateKeyRequest(key=pb.Key(title="phone", scopes=[api.READ]), request_id=str(uuid4()))
    first, again = await admin.CreateKey(request), await admin.CreateKey(request)

    assert (again.name, again.secret) == (first.name, "")
    request.key.title = "tablet"
    with pytest.raises(InvalidArgument, match="request_id"):
        await admin.CreateKey(request)


async def test_a_key_may_do_what_its_scope_says_and_no_more(config: Config, admin: Client) -> None:
    reader, operator = await make(admin, "r"), await make(admin, "o", scope=api.OPERATE)
    await becomes(partial(good, config, operator.secret), True)

    for secret in (reader.secret, operator.secret):
        async with client(config, secret) as holder, config.client(secret) as settings:
            with pytest.raises(PermissionDenied):
                await holder.ListKeys(pb.ListKeysRequest())
            with pytest.raises(PermissionDenied):
                await make(holder, "mine", scope=api.ADMIN)
            with pytest.raises(PermissionDenied):
                await settings.UpdateSettings(config_pb2.UpdateSettingsRequest(settings=config_pb2.Settings()))


async def test_not_even_an_administrator_may_tell_of_uses(admin: Client) -> None:
    with pytest.raises(PermissionDenied):
        await admin.ReportKeyUses(pb.ReportKeyUsesRequest())


async def test_uses_that_services_tell_of_show_on_the_key(config: Config, admin: Client) -> None:
    made = await make(admin)
    async with client(config, SERVICE_TOKEN) as service:
        report = pb.ReportKeyUsesRequest()
        report.uses.add(key=made.name.removeprefix("keys/")).use_time.FromDatetime(datetime(2024, 2, 29, tzinfo=UTC))
        report.uses.add(key="key-of-nobody").use_time.GetCurrentTime()
        await service.ReportKeyUses(report)

    read = await admin.GetKey(pb.GetKeyRequest(name=made.name))
    assert (read.last_use_time.ToJsonString(), read.etag) == ("2024-02-29T00:00:00Z", made.etag)


@ON_BOTH
async def test_a_revoked_key_is_refused_on_every_replica(config: Config, admin: Client) -> None:
    other = settings_in(config.settings.home, config.settings.database)
    async with serving(other) as replica:
        made = await make(admin)
        await becomes(partial(good, replica, made.secret), True)

        await admin.RevokeKey(pb.RevokeKeyRequest(name=made.name))

        for each in (config, replica):
            await becomes(partial(refusal, each, made.secret), "CREDENTIAL_INVALID")


async def test_a_rotated_key_has_two_secrets_for_the_overlap_and_one_without(config: Config, admin: Client) -> None:
    first = await make(admin)
    second = await admin.RotateKey(pb.RotateKeyRequest(name=first.name, overlap=Duration(seconds=3600)))
    await becomes(partial(good, config, second.secret), True)
    assert await good(config, first.secret)

    third = await admin.RotateKey(pb.RotateKeyRequest(name=first.name))

    await becomes(partial(good, config, third.secret), True)
    assert [await refusal(config, each.secret) for each in (first, second)] == ["CREDENTIAL_INVALID"] * 2


async def test_an_overlap_of_more_than_a_week_is_refused(admin: Client) -> None:
    made = await make(admin)
    with pytest.raises(InvalidArgument, match="overlap"):
        await admin.RotateKey(pb.RotateKeyRequest(name=made.name, overlap=Duration(seconds=604801)))


async def test_a_key_that_ends_is_refused_from_then_on_and_its_holder_is_told(config: Config, admin: Client) -> None:
    made, end = await make(admin), Timestamp()
    await becomes(partial(good, config, made.secret), True)
    end.FromDatetime(datetime.now(UTC) + timedelta(seconds=2))  # far enough to still be ahead on a busy machine

    await admin.UpdateKey(pb.UpdateKeyRequest(key=pb.Key(name=made.name, expire_time=end)))

    await becomes(partial(refusal, config, made.secret), "CREDENTIAL_EXPIRED")
    assert (await admin.GetKey(pb.GetKeyRequest(name=made.name))).state == pb.Key.EXPIRED


async def test_only_what_the_mask_names_is_changed(admin: Client) -> None:
    made = await make(admin, "phone", scope=api.OPERATE)
    wish = pb.Key(name=made.name, title="tablet", scopes=[api.READ], etag=made.etag)
    changed = await admin.UpdateKey(pb.UpdateKeyRequest(key=wish, update_mask=FieldMask(paths=["scopes"])))

    assert (changed.title, changed.user, list(changed.scopes)) == ("phone", "phone", [api.READ])
    with pytest.raises(Conflict) as stale:
        await admin.UpdateKey(pb.UpdateKeyRequest(key=wish))
    assert stale.value.metadata == {"etag": changed.etag}
    with pytest.raises(InvalidArgument, match="user cannot be changed"):
        await admin.UpdateKey(pb.UpdateKeyRequest(key=wish, update_mask=FieldMask(paths=["user"])))


@ON_BOTH
async def test_the_first_key_cannot_be_taken_back_before_there_is_another(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    await make_schema("config", home=settings.home, configured=settings.database)
    stop, config = asyncio.Event(), Config(replace(settings, admin_key=None))
    async with open_app(config.settings) as app, asyncio.TaskGroup() as group:
        group.create_task(app.serve(stop))
        (secret,) = SECRET.findall(capfd.readouterr().out)
        async with client(config, secret) as holder:
            (first,) = (await holder.ListKeys(pb.ListKeysRequest(), wait_for_ready=True)).keys
            with pytest.raises(FailedPrecondition) as refused:
                await holder.RevokeKey(pb.RevokeKeyRequest(name=first.name))
            await make(holder, "another", scope=api.ADMIN)

            revoked = await holder.RevokeKey(pb.RevokeKeyRequest(name=first.name))
        stop.set()

    assert refused.value.code_reason == "LAST_ADMIN_KEY"
    assert revoked.state == pb.Key.REVOKED


@ON_BOTH
async def test_a_secret_is_in_its_answer_and_nowhere_else(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    async with serving(settings) as config, client(config) as admin:
        made = await make(admin, "phone")
        rotated = await admin.RotateKey(pb.RotateKeyRequest(name=made.name, overlap=Duration(seconds=60)))
        await becomes(partial(good, config, rotated.secret), True)
        async with client(config, rotated.secret) as holder:
            with pytest.raises(PermissionDenied):
                await holder.ListKeys(pb.ListKeysRequest())
        await admin.RevokeKey(pb.RevokeKeyRequest(name=made.name))

    printed, rows = "".join(capfd.readouterr()), await raw_rows(settings)
    kept = b"".join(path.read_bytes() for path in settings.home.iterdir())
    assert all(event in printed for event in ("key.created", "key.rotated", "key.revoked"))
    assert made.name.removeprefix("keys/") in printed
    for secret in (made.secret, rotated.secret):
        assert secret.encode() not in kept
        assert secret not in rows
        assert secret[7:20] not in printed
        assert sha256(secret.encode()).hexdigest() not in printed


async def raw_rows(settings: Settings) -> str:
    """What the database holds of keys."""
    url = database_url(home=settings.home, service="config", configured=settings.database)
    async with open_database(url, schema="lockgroove_config") as database, database.reading() as connection:
        return repr((await connection.execute(select(api_key))).all())
