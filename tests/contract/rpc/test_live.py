"""Settings are followed live, whatever happens to the config service meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from lockgroove.config.v1 import config_pb2 as pb

from libs.errors import Unavailable
from libs.live import LiveSettings, SettingsAbsent
from libs.rpc.server import Server
from tests.contract.rpc.conftest import Config, Net, config_server
from tests.support.ports import free_ports


class Feed:
    """Snapshots that a test sends to whoever follows."""

    def __init__(self, *revisions: int) -> None:
        self._snapshots = [pb.Snapshot(revision=revision) for revision in revisions]
        self._sent = asyncio.Condition()
        self.followers = 0

    async def send(self, revision: int) -> None:
        async with self._sent:
            self._snapshots.append(pb.Snapshot(revision=revision))
            self._sent.notify_all()

    async def watch(self, request: Any) -> AsyncIterator[pb.Snapshot]:
        self.followers += 1
        position = max(0, len(self._snapshots) - 1)
        while True:
            async with self._sent:
                while position >= len(self._snapshots):
                    await self._sent.wait()
            yield self._snapshots[position]
            position += 1


@asynccontextmanager
async def following(net: Net, address: str) -> AsyncIterator[LiveSettings]:
    live = LiveSettings(await net.channel(address))
    task = asyncio.create_task(live.run())
    try:
        yield live
    finally:
        assert not task.done()  # it never dies
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def revision(live: LiveSettings, wanted: int) -> None:
    """Waits until this revision is in force."""
    async for snapshot in live.updates():
        if snapshot.revision == wanted:
            return


def serving(feed: Feed, address: str) -> Server:
    return config_server(Config(watch=feed.watch), listen=address)


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


async def test_the_first_snapshot_is_waited_for(net: Net, address: str) -> None:
    async with following(net, address) as live:
        with pytest.raises(SettingsAbsent):
            _ = live.current
        with pytest.raises(SettingsAbsent):
            await live.ready()

        async with serving(Feed(1), address):
            assert (await live.first()).revision == 1
            assert live.current.revision == 1
            await live.ready()


async def test_changes_arrive(net: Net, address: str) -> None:
    feed = Feed(1)
    async with serving(feed, address), following(net, address) as live:
        await revision(live, 1)
        await feed.send(2)
        await revision(live, 2)

        assert live.current.revision == 2


async def test_the_last_snapshot_stays_in_force_while_the_config_service_is_away(net: Net, address: str) -> None:
    async with following(net, address) as live:
        async with serving(Feed(7), address):
            await revision(live, 7)

        assert live.current.revision == 7
        await live.ready()


async def test_after_a_restart_changes_arrive_again(net: Net, address: str) -> None:
    async with following(net, address) as live:
        async with serving(Feed(1), address):
            await revision(live, 1)
        feed = Feed(2)
        async with serving(feed, address):
            await revision(live, 2)
            await feed.send(3)
            await revision(live, 3)


async def test_the_same_snapshot_after_a_restart_is_no_change(net: Net, address: str) -> None:
    seen: list[int] = []
    async with following(net, address) as live:
        live.subscribe(lambda snapshot: seen.append(snapshot.revision))
        for _ in range(2):
            async with serving(Feed(1), address):
                await revision(live, 1)
        async with serving(Feed(2), address):
            await revision(live, 2)

    assert seen == [1, 2]


async def test_who_subscribes_late_gets_the_snapshot_in_force_at_once(net: Net, address: str) -> None:
    seen: list[int] = []
    async with serving(Feed(4), address), following(net, address) as live:
        await live.first()
        live.subscribe(lambda snapshot: seen.append(snapshot.revision))

        assert seen == [4]


async def test_a_subscriber_that_fails_does_not_stop_the_others(net: Net, address: str) -> None:
    seen: list[int] = []
    async with serving(Feed(1), address), following(net, address) as live:
        live.subscribe(lambda snapshot: [][0])
        live.subscribe(lambda snapshot: seen.append(snapshot.revision))
        await revision(live, 1)

    assert seen == [1]


async def test_two_readers_get_every_change_they_wait_for(net: Net, address: str) -> None:
    feed = Feed(1)
    async with serving(feed, address), following(net, address) as live:
        readers = [asyncio.create_task(revision(live, 5)) for _ in range(2)]
        await revision(live, 1)
        await feed.send(5)

        await asyncio.gather(*readers)


async def test_a_wrong_token_is_tried_again_and_never_fatal(net: Net, address: str) -> None:
    live = LiveSettings(await net.channel(address, "a wrong token"))
    async with serving(Feed(1), address):
        task = asyncio.create_task(live.run())
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await live.first()

        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_keys_are_those_of_the_snapshot(net: Net, address: str) -> None:
    async def watch(request: Any) -> AsyncIterator[pb.Snapshot]:
        yield pb.Snapshot(revision=1, api_keys=[pb.ApiKey(title="mine", digest=b"d")])
        await asyncio.Event().wait()

    async with config_server(Config(watch=watch), listen=address), following(net, address) as live:
        await live.first()

        assert [key.title for key in live.api_keys()] == ["mine"]


async def test_who_has_no_settings_yet_asks_steadily_instead_of_ever_more_seldom(
    net: Net, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)  # the longest waits that back-off may take
    asked = 0

    async def not_yet(request: Any) -> AsyncIterator[pb.Snapshot]:
        nonlocal asked
        asked += 1
        if asked < 20:
            raise Unavailable("the database opens")
        yield pb.Snapshot(revision=1)
        await asyncio.Event().wait()

    async with config_server(Config(watch=not_yet), listen=address), following(net, address) as live:
        async with asyncio.timeout(20):  # with back-off: far longer
            assert (await live.first()).revision == 1
