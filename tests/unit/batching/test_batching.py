"""Group commit."""

import asyncio
from collections.abc import Sequence

import pytest

from libs.batching import Batcher, TooManyWaiting
from libs.errors import AppError, InvalidArgument, Unavailable


class Commits:
    """A commit that takes as long as the test wants and answers each number with its double."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.poison: set[int] = set()
        self.refused: set[int] = set()
        self.away = False

    async def __call__(self, items: Sequence[int]) -> list[int | AppError]:
        self.batches.append(list(items))
        await self.open.wait()
        if self.away:
            raise Unavailable("away")
        if self.poison & set(items):
            raise ValueError("poison")
        return [InvalidArgument("refused") if item in self.refused else item * 2 for item in items]


async def submitted(batcher: Batcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_a_caller_alone_has_a_commit_of_its_own() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=64, max_waiting=100)

    assert [await batcher.submit(1), await batcher.submit(2)] == [2, 4]
    assert commits.batches == [[1], [2]]


async def test_what_arrives_during_a_commit_shares_the_next() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=64, max_waiting=100)
    commits.open.clear()
    tasks = await submitted(batcher, [1])
    tasks += await submitted(batcher, [2, 3, 4])

    commits.open.set()

    assert await asyncio.gather(*tasks) == [2, 4, 6, 8]
    assert commits.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_at_most_max_items() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=2, max_waiting=100)

    await asyncio.gather(*await submitted(batcher, [1, 2, 3, 4, 5]))

    assert max(len(batch) for batch in commits.batches) == 2


async def test_one_batch_runs_at_a_time_and_the_rest_waits() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=2, max_waiting=100)
    commits.open.clear()
    tasks = await submitted(batcher, [1, 2, 3, 4, 5])

    assert commits.batches == [[1, 2]]

    commits.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6, 8, 10]
    assert commits.batches[1:] == [[3, 4], [5]]


async def test_shared_out_no_batch_takes_all_who_came_together() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=64, max_waiting=100, shared_out=True)
    commits.open.clear()
    tasks = await submitted(batcher, [1, 2, 3, 4, 5, 6])

    assert commits.batches == [[1, 2, 3]]

    commits.open.set()
    await asyncio.gather(*tasks)
    assert sorted(item for batch in commits.batches for item in batch) == [1, 2, 3, 4, 5, 6]


async def test_shared_out_those_who_were_just_answered_still_have_their_share() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=64, max_waiting=100, shared_out=True)
    commits.open.clear()
    tasks = await submitted(batcher, [1])
    tasks += await submitted(batcher, [2, 3, 4, 5, 6, 7])

    commits.open.set()
    await asyncio.gather(*tasks)

    assert commits.batches[:2] == [[1], [2, 3, 4, 5]]


async def test_closing_waits_for_all_batches() -> None:
    commits = Commits()
    batcher = Batcher(commits, max_items=1, max_waiting=100)
    commits.open.clear()
    tasks = await submitted(batcher, [1, 2, 3])
    closing = asyncio.create_task(batcher.aclose())

    commits.open.set()
    await closing

    assert [task.result() for task in tasks] == [2, 4, 6]


async def test_a_refused_member_fails_alone() -> None:
    commits = Commits()
    commits.refused = {2}
    batcher = Batcher(commits, max_items=64, max_waiting=100)

    results = await asyncio.gather(*await submitted(batcher, [1, 2, 3]), return_exceptions=True)

    assert results[0] == 2
    assert isinstance(results[1], InvalidArgument)
    assert results[2] == 6


async def test_a_poison_member_is_isolated_by_halving() -> None:
    commits = Commits()
    commits.poison = {3}
    batcher = Batcher(commits, max_items=64, max_waiting=100)

    results = await asyncio.gather(*await submitted(batcher, range(8)), return_exceptions=True)

    assert isinstance(results.pop(3), ValueError)
    assert results == [0, 2, 4, 8, 10, 12, 14]


async def test_a_database_that_is_away_fails_the_batch_at_once() -> None:
    commits = Commits()
    commits.away = True
    batcher = Batcher(commits, max_items=64, max_waiting=100)

    results = await asyncio.gather(*await submitted(batcher, [1, 2, 3]), return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable] * 3
    assert commits.batches == [[1, 2, 3]]


async def test_a_full_queue_refuses_and_says_when_to_come_back() -> None:
    commits = Commits()
    commits.open.clear()
    batcher = Batcher(commits, max_items=1, max_waiting=2)
    tasks = await submitted(batcher, [1])
    tasks += await submitted(batcher, [2, 3])

    with pytest.raises(TooManyWaiting) as refusal:
        await batcher.submit(4)

    assert refusal.value.retry_after is not None
    commits.open.set()
    assert await asyncio.gather(*tasks) == [2, 4, 6]


async def test_a_cancelled_caller_does_not_cancel_the_commit() -> None:
    commits = Commits()
    commits.open.clear()
    batcher = Batcher(commits, max_items=64, max_waiting=100)
    impatient, patient = await submitted(batcher, [1, 2])

    impatient.cancel()
    commits.open.set()

    assert await patient == 4
    assert impatient.cancelled()
    assert commits.batches == [[1, 2]]


async def test_a_cancelled_caller_whose_item_fails_leaves_no_warning() -> None:
    commits = Commits()
    commits.open.clear()
    commits.refused = {1}
    batcher = Batcher(commits, max_items=64, max_waiting=100)
    impatient, patient = await submitted(batcher, [1, 2])

    impatient.cancel()
    commits.open.set()

    assert await patient == 4


async def test_closing_answers_everything_that_waits() -> None:
    commits = Commits()
    commits.open.clear()
    batcher = Batcher(commits, max_items=2, max_waiting=100)
    tasks = await submitted(batcher, [1, 2, 3])
    closing = asyncio.create_task(batcher.aclose())
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await batcher.submit(4)
    commits.open.set()
    await closing

    assert [task.result() for task in tasks] == [2, 4, 6]
