"""Dead letters and replays of the running service: who may read, who may decide, and what follows by itself."""

import pytest
from lockgroove.webhooks.v1 import dead_letters_pb2 as letters_pb
from lockgroove.webhooks.v1 import dead_letters_pb2_grpc as letters_rpc
from lockgroove.webhooks.v1 import replays_pb2, replays_pb2_grpc
from lockgroove.webhooks.v1 import webhooks_pb2 as pb

from libs.errors import PermissionDenied
from libs.rpc.client import open_channel
from tests.integration.webhooks.conftest import Webhooks
from tests.support.lidarr_webhooks import download
from tests.support.waiting import eventually
from tests.support.webhook_peers import OPERATOR_KEY, READER_KEY

_ENDED = (replays_pb2.Replay.COMPLETED, replays_pb2.Replay.FAILED)


@pytest.mark.parametrize("key", [READER_KEY, OPERATOR_KEY])
async def test_a_reader_sees_dead_letters(webhooks: Webhooks, key: str) -> None:
    event_id = await webhooks.deliver(b"no JSON")
    await webhooks.reaches(event_id, pb.Event.DEAD)

    async with open_channel(webhooks.address, credential=key) as channel:
        stub = letters_rpc.DeadLetterServiceStub(channel)
        listed = await stub.ListDeadLetters(letters_pb.ListDeadLettersRequest())
        summary = await stub.SummarizeDeadLetters(letters_pb.SummarizeDeadLettersRequest())
        groups = await stub.ListDeadLetterGroups(letters_pb.ListDeadLetterGroupsRequest())

    assert [message.name for message in listed.messages] == [f"events/{event_id}"]
    assert (summary.total_pending, dict(summary.by_error)) == (1, {"UNREADABLE": 1})
    assert [group.message_count for group in groups.groups] == [1]


async def test_a_reader_decides_nothing(webhooks: Webhooks) -> None:
    async with open_channel(webhooks.address, credential=READER_KEY) as channel:
        dead, replays = letters_rpc.DeadLetterServiceStub(channel), replays_pb2_grpc.ReplayServiceStub(channel)
        for call in (
            dead.ReplayDeadLetter(letters_pb.ReplayDeadLetterRequest(message_id="evt-1")),
            dead.BatchReplayDeadLetters(letters_pb.BatchReplayDeadLettersRequest(message_ids=["evt-1"])),
            dead.DiscardDeadLetter(letters_pb.DiscardDeadLetterRequest(message_id="evt-1")),
            replays.StartReplay(replays_pb2.StartReplayRequest(filter='source = "lidarr"')),
            replays.CancelReplay(replays_pb2.CancelReplayRequest(name="replays/rpl-1")),
        ):
            with pytest.raises(PermissionDenied):
                await call


async def test_a_forced_replay_tells_what_took_effect_once_more(webhooks: Webhooks) -> None:
    event_id = await webhooks.deliver(download())
    await webhooks.reaches(event_id, pb.Event.DONE)
    told = webhooks.peers.acquisitions.calls

    async with open_channel(webhooks.address, credential=OPERATOR_KEY) as channel:
        stub = replays_pb2_grpc.ReplayServiceStub(channel)
        wanted = replays_pb2.StartReplayRequest(events=[f"events/{event_id}"], force=True)
        begun = await stub.StartReplay(wanted)

        async def ended() -> replays_pb2.Replay | None:
            found = await stub.GetReplay(replays_pb2.GetReplayRequest(name=begun.name))
            return found if found.state in _ENDED else None

        replay = await eventually(ended)

    async def again() -> bool:
        return webhooks.peers.acquisitions.calls > told

    assert (replay.state, replay.replayed_count, replay.actor) == (replays_pb2.Replay.COMPLETED, 1, "operator")
    await eventually(again)
    await webhooks.reaches(event_id, pb.Event.DONE)
