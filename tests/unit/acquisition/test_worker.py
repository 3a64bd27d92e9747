import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from libs.clock import ManualClock
from libs.sql.errors import DatabaseUnavailable
from libs.work.job import Claim
from services.acquisition.domain.acquisition import Acquisition, State
from services.acquisition.domain.album import Album
from services.acquisition.domain.attempt import Progress, Source
from services.acquisition.worker import ProgressKeeper

START = datetime(2026, 11, 22, tzinfo=UTC)
CLAIM = Claim(
    id="acq-1",
    queue="soulseek",
    kind="soulseek",
    state="DOWNLOADING",
    version=1,
    data={},
    data_schema=1,
    owner="me",
    fence=1,
    attempt=0,
    crashes=0,
    error="",
    cancel_requested=False,
    signal_seq=0,
)


class Store:
    """Remembers what progress it was told; down while `is_down`."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.is_down = False

    async def progress(self, claim: Claim, number: int, progress: Progress) -> None:
        if self.is_down:
            raise DatabaseUnavailable("gone")
        self.told.append(progress.received_bytes)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def keeper(store: Store, clock: ManualClock) -> ProgressKeeper:
    acquisition = Acquisition(
        id="acq-1",
        album=Album(artist="A", title="B"),
        source=Source.SOULSEEK,
        created=START,
        updated=START,
        state=State.DOWNLOADING,
    ).tried(Source.SOULSEEK, "ada", START)
    return ProgressKeeper(store, CLAIM, acquisition, clock)


async def test_progress_is_stored_at_most_once_a_second(
    store: Store, clock: ManualClock, keeper: ProgressKeeper
) -> None:
    for received in range(1, 31):
        clock.advance(timedelta(seconds=0.1))
        await keeper(Progress(received_bytes=received))

    assert len(store.told) == 3


async def test_the_last_progress_is_stored_at_the_end(store: Store, keeper: ProgressKeeper) -> None:
    await keeper(Progress(received_bytes=7))

    await keeper.flush()
    await keeper.flush()

    assert store.told == [7]


async def test_a_fault_of_the_database_costs_only_the_progress(
    store: Store, clock: ManualClock, keeper: ProgressKeeper
) -> None:
    store.is_down = True
    clock.advance(timedelta(seconds=2))
    await keeper(Progress(received_bytes=7))
    store.is_down = False

    await keeper.flush()

    assert store.told == [7]


async def test_without_an_attempt_there_is_nothing_to_store(store: Store, clock: ManualClock) -> None:
    waiting = Acquisition(
        id="acq-1", album=Album(artist="A", title="B"), source=Source.LIDARR, created=START, updated=START
    )
    keeper = ProgressKeeper(store, replace(CLAIM, state="QUEUED"), waiting, clock)

    await keeper(Progress(received_bytes=7))
    await keeper.flush()

    assert store.told == []


def test_the_service_starts_without_what_only_some_steps_need() -> None:
    code = "import sys, services.acquisition.app; print(*{'aioslsk', 'av', 'alembic', 'mutagen'} & set(sys.modules))"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert loaded.stdout.strip() == ""
