"""What an attempt tells of its offer and of each file, on each kind of database, up to the API."""

from services.acquisition import convert
from services.acquisition.domain.acquisition import State
from services.acquisition.domain.attempt import FileProgress, FileState, Progress, Source
from services.acquisition.domain.step import Move
from tests.conformance.acquisition.conftest import CLOCK, Service

SCORE = {"title": 20.0, "history": -4.0}
FILE = FileProgress(
    name="01 Ünïcode.flac",
    peer="bob",
    state=FileState.TRANSFERRING,
    received_bytes=5 << 32,
    total_bytes=6 << 32,
    bytes_per_second=3 << 32,
    place_in_queue=2,
)
PROGRESS = Progress(received_bytes=5, total_bytes=9, total_count=1, bytes_per_second=3 << 32, files=(FILE,))


async def test_peers_score_and_files_are_kept_and_shown(service: Service) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    assert trying.attempt is not None
    trying = trying.with_attempt(trying.attempt.offered(("ada", "bob"), SCORE), now)
    await service.end(await service.claim(), Move(acquisition=trying))

    await service.store.progress(await service.claim(), 1, PROGRESS)

    attempt = (await service.acquisitions.get(asked.id)).attempt
    assert attempt is not None
    assert (attempt.peers, attempt.score, attempt.progress) == (("ada", "bob"), SCORE, PROGRESS)
    shown = convert.acquisition_to_pb(await service.acquisitions.get(asked.id))
    assert (list(shown.attempts[0].peers), dict(shown.attempts[0].score)) == (["ada", "bob"], SCORE)
    assert shown.progress.files[0].place_in_queue == 2
    assert shown.attempts[0].total_bytes == 9


async def test_an_attempt_that_tells_nothing_of_it_is_read_as_before(service: Service) -> None:
    now = CLOCK.now()
    asked = await service.ask()
    trying = asked.moved(State.SEARCHING, now).moved(State.DOWNLOADING, now).tried(Source.SOULSEEK, "ada", now)
    await service.end(await service.claim(), Move(acquisition=trying))

    (attempt,) = (await service.acquisitions.get(asked.id)).attempts
    assert (attempt.peers, attempt.score, attempt.progress) == ((), {}, Progress())
