"""What slskd, or whatever answers in its place, may say of downloads."""

from typing import Any

import httpx
import pytest

from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.providers import SlskdAddress
from services.acquisition.slskd.client import SlskdClient
from services.acquisition.slskd.errors import SlskdFault
from services.acquisition.slskd.place import is_of
from services.acquisition.slskd.transfer import read_batch, read_transfer, read_users

HONEST: dict[str, Any] = {"id": "1", "username": "ada", "filename": "a.flac", "size": 7, "state": "InProgress"}


@pytest.mark.parametrize(
    "change",
    [
        {"size": 1e999},
        {"size": float("nan")},
        {"size": -1},
        {"bytesTransferred": 10**30},
        {"placeInQueue": [1]},
        {"attempts": "many"},
    ],
)
def test_numbers_that_count_nothing_are_a_fault_of_slskd(change: dict[str, Any]) -> None:
    with pytest.raises(SlskdFault):
        read_transfer(HONEST | change)


@pytest.mark.parametrize("batch", [[1], "batch", {"transfers": 3}, {"transfers": ["a"]}])
def test_what_is_no_batch_is_a_fault_of_slskd(batch: Any) -> None:
    with pytest.raises(SlskdFault):
        read_batch(batch)


@pytest.mark.parametrize("users", [None, "ada", [[]], {"directories": [{"files": [3]}]}, {"directories": {"a": 1}}])
def test_what_is_no_list_of_downloads_is_a_fault_of_slskd(users: Any) -> None:
    with pytest.raises(SlskdFault):
        list(read_users(users))


def test_a_batch_id_of_another_kind_is_not_ours() -> None:
    assert not is_of("acq-1", read_transfer(HONEST | {"batchId": 7}).batch_id)


@pytest.mark.parametrize("failures", [{"0": "no"}, ["no"], "no", 3, None])
async def test_a_request_that_came_to_nothing_needs_no_reason(failures: Any) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"batch": {}, "failures": failures}))
    async with httpx.AsyncClient(transport=answer) as http:
        client = SlskdClient(http, address=lambda: SlskdAddress(url="http://slskd", api_key="key"))

        asked = await client.enqueue("batch", "ada", RemoteFile(path="a.flac", size=7), "folder")

    assert (asked.transfer, asked.message) == (None, "")
