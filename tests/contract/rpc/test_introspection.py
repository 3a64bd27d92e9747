"""grpcurl finds its way by reflection, and prints JSON names."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from lockgroove.config.v1 import config_pb2 as pb

from tests.contract.rpc.conftest import CONFIG, SERVICE_TOKEN, Config, Net

GRPCURL = Path(sys.executable).with_name("grpcurl")


async def grpcurl(address: str, *arguments: str, headers: tuple[str, ...] = ()) -> str:
    """What grpcurl prints."""
    options = [part for header in headers for part in ("-H", header)]
    process = await asyncio.create_subprocess_exec(
        GRPCURL, "-plaintext", *options, *_data(arguments), address, *_words(arguments), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


def _data(arguments: tuple[str, ...]) -> list[str]:
    return [part for text in arguments if text.startswith("{") for part in ("-d", text)]


def _words(arguments: tuple[str, ...]) -> list[str]:
    return [text for text in arguments if not text.startswith("{")]


async def test_list_names_every_service(net: Net) -> None:
    server = await net.serve(Config())

    assert (await grpcurl(server.address, "list")).split() == [
        "grpc.channelz.v1.Channelz",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        CONFIG,
    ]


async def test_describe_shows_methods_with_their_routes(net: Net) -> None:
    server = await net.serve(Config())

    assert '"/api/v1/settings"' in await grpcurl(server.address, "describe", CONFIG)


async def test_every_service_can_be_described(net: Net) -> None:
    server = await net.serve(Config())

    for service in (await grpcurl(server.address, "list")).split():
        assert f"{service} is a service" in await grpcurl(server.address, "describe", service)


async def test_a_call_prints_camel_case(net: Net) -> None:
    async def get(request: Any) -> pb.Settings:
        return pb.Settings(lidarr=pb.LidarrSettings(root_folder="/music"), secrets_set=["lidarr.apiKey"])

    server = await net.serve(Config(get=get))
    printed = await grpcurl(server.address, f"{CONFIG}/GetSettings", headers=(f"x-api-key: {SERVICE_TOKEN}",))

    assert json.loads(printed) == {"lidarr": {"rootFolder": "/music"}, "secretsSet": ["lidarr.apiKey"]}


async def test_a_call_reads_camel_case(net: Net) -> None:
    async def update(request: Any) -> pb.Settings:
        settings: pb.Settings = request.settings
        return settings

    server = await net.serve(Config(update=update))
    printed = await grpcurl(
        server.address,
        '{"settings": {"soulseek": {"listenPort": 1}}}',
        f"{CONFIG}/UpdateSettings",
        headers=(f"authorization: Bearer {SERVICE_TOKEN}",),
    )

    assert json.loads(printed) == {"soulseek": {"listenPort": 1}}


async def test_channelz_tells_this_machine_about_servers(net: Net) -> None:
    server = await net.serve(Config())

    assert json.loads(await grpcurl(server.address, "grpc.channelz.v1.Channelz/GetServers"))["server"]
