"""Trying connections over the API of the running service."""

from pathlib import Path

import pytest
from lockgroove.config.v1 import config_pb2 as config
from lockgroove.config.v1 import connections_pb2 as pb
from lockgroove.config.v1 import connections_pb2_grpc as rpc

from deploy.demo.lidarr.world import LidarrWorld
from libs.errors import InvalidArgument
from libs.rpc.client import open_channel
from services.config.settings import Settings

from .conftest import ADMIN_KEY, serving

CANARY = "canary-5f0e7a31"


async def test_lidarr_is_tried_with_what_is_given_and_what_is_in_force(
    alone: Settings, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with (
        LidarrWorld(tmp_path / "music", [], api_key=CANARY) as lidarr,
        serving(alone, {"LIDARR_URL": lidarr.url, "LIDARR_API_KEY": CANARY}),
        open_channel(alone.listen, credential=ADMIN_KEY) as channel,
    ):
        stub = rpc.ConnectionServiceStub(channel)
        good = await stub.TestConnection(pb.TestConnectionRequest(connection="lidarr"))
        mistyped = config.Settings(lidarr=config.LidarrSettings(api_key=f"{CANARY}-mistyped"))
        wrong = await stub.TestConnection(pb.TestConnectionRequest(connection="lidarr", settings=mistyped))
        with pytest.raises(InvalidArgument, match=r"lidarr\.apiKey") as refused:
            await stub.LookUpLidarr(pb.LookUpLidarrRequest(settings=config.LidarrSettings(url="http://127.0.0.1:1")))
        choices = await stub.LookUpLidarr(pb.LookUpLidarrRequest())

    assert good.ok
    assert good.diagnosis == pb.OK
    assert good.test_time.seconds
    assert good.latency.ToTimedelta()
    assert not wrong.ok
    assert wrong.diagnosis == wrong.checks[0].diagnosis == pb.UNAUTHORIZED
    assert refused.value.code_reason == "SECRET_NEEDED"
    assert [folder.path for folder in choices.root_folders] == [str(lidarr.root)]
    assert CANARY not in f"{good}{wrong}{choices}{refused.value}" + "".join(capfd.readouterr())


@pytest.mark.parametrize("connection", ["", "jellyfin"])
async def test_a_connection_that_is_none_is_refused(alone: Settings, connection: str) -> None:
    async with serving(alone), open_channel(alone.listen, credential=ADMIN_KEY) as channel:
        with pytest.raises(InvalidArgument):
            await rpc.ConnectionServiceStub(channel).TestConnection(pb.TestConnectionRequest(connection=connection))
