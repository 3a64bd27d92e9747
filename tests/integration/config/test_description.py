"""DescribeSettings, as a client meets it."""

from lockgroove.config.v1 import config_pb2 as pb

from services.config.catalogue import load_catalogue
from tests.integration.config.conftest import Serve


async def test_every_setting_is_described(serve: Serve) -> None:
    async with serve() as config, config.client() as client:
        first, again = [await client.DescribeSettings(pb.DescribeSettingsRequest()) for _ in range(2)]

    assert [each.path for each in first.settings] == [each.json_path for each in load_catalogue()]
    assert again == first
