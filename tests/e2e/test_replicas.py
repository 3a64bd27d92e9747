"""Two acquisition processes on one PostgreSQL and one Soulseek account: one logs in, the other takes over."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from lockgroove.acquisition.v1 import acquisition_pb2 as pb
from lockgroove.acquisition.v1 import acquisition_pb2_grpc as rpc

from deploy.demo.albums import Album, invent_albums
from deploy.demo.soulseek.plan import PeerPlan
from deploy.demo.world import World, open_world
from libs.errors import AppError
from libs.rpc.client import open_channel
from tests.support.albums import is_complete
from tests.support.ports import free_ports
from tests.support.replicas import running_service
from tests.support.suite import ADMIN_KEY, suite_environment
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path / "world") as world:
        yield world


@pytest.fixture
def slow() -> Album:
    """An album that takes its time."""
    return invent_albums(1, seed=77, tracks=2)[0]


async def test_when_the_holder_of_the_session_is_killed_the_other_finishes_its_work(
    world: World, slow: Album, postgres_url: str, tmp_path: Path
) -> None:
    await world.soulseek.join(PeerPlan(username="slow-shelf", albums=(slow,), upload_kbps=500))
    own = {"DATABASE_URL": postgres_url, "LOCKGROOVE_ADMIN_KEY": ADMIN_KEY}
    first = suite_environment(tmp_path / "home", {**world.environment, **own})
    second = {**first, "LOCKGROOVE_ACQUISITION_LISTEN": f"127.0.0.1:{free_ports(1)[0]}"}

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running_service("config", first))
        holder = await stack.enter_async_context(running_service("acquisition", first))
        await eventually(_logged_in(world, 1), within=120)
        await stack.enter_async_context(running_service("acquisition", second))
        channel = open_channel(second["LOCKGROOVE_ACQUISITION_LISTEN"], credential=ADMIN_KEY)
        other = rpc.AcquisitionServiceStub(await stack.enter_async_context(channel))
        name = (await eventually(lambda: _asked(other, slow))).name
        await _reaches(other, name, pb.Acquisition.DOWNLOADING)

        holder.kill()
        done = await _reaches(other, name, pb.Acquisition.COMPLETED)

    assert [attempt.state for attempt in done.attempts] == [pb.Attempt.SUCCEEDED]
    assert is_complete(slow, Path(world.environment["MUSIC_PATH"]))
    assert world.soulseek.logins("lockgroove") == 2


def _logged_in(world: World, times: int) -> Callable[[], Awaitable[bool]]:
    async def there() -> bool:
        return world.soulseek.logins("lockgroove") == times and world.soulseek.server.is_online("lockgroove")

    return there


async def _asked(stub: rpc.AcquisitionServiceStub, album: Album) -> pb.Acquisition | None:
    """The acquisition; None while the service is not up yet."""
    wanted = pb.Album(artist=album.artist, title=album.title, release_group_mbid=album.mbid)
    acquisition = pb.Acquisition(album=wanted, source=pb.SOULSEEK)
    try:
        return await stub.CreateAcquisition(pb.CreateAcquisitionRequest(acquisition=acquisition))
    except AppError:
        return None


async def _reaches(
    stub: rpc.AcquisitionServiceStub, name: str, state: "pb.Acquisition.State.ValueType"
) -> pb.Acquisition:
    found = pb.Acquisition()

    async def there() -> bool:
        nonlocal found
        found = await stub.GetAcquisition(pb.GetAcquisitionRequest(name=name))
        return found.state == state

    try:
        await eventually(there, within=120)  # a lease has to end first
    except AssertionError as error:
        raise AssertionError(f"it went another way: {found}") from error
    return found
