"""Peers that say what nobody should: it costs little, is answered by hanging up, and the session lives on."""

import asyncio
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from aioslsk.protocol.messages import FileSearch, PeerInit, PeerSearchReply
from aioslsk.protocol.primitives import FileData
from aioslsk.search.model import SearchResult

from deploy.demo.albums import Album
from deploy.demo.soulseek.plan import Behaviour, PeerPlan
from deploy.demo.soulseek.world import SoulseekWorld
from services.acquisition.domain.candidates import Candidate
from services.acquisition.domain.peers import PeerFailed
from services.acquisition.soulseek.answers import MAX_ANSWERS_OF_A_PEER, MAX_FILES, MAX_FILES_IN_ALL, Answers
from services.acquisition.soulseek.bounds import MAX_MESSAGE
from services.acquisition.soulseek.session import SoulseekSession

from .conftest import LogIn, OpenNetwork
from .fetching import PATIENT, first_file, offers, until

MIB = 1 << 20
SEARCH_REPLY = 9


@pytest.fixture
async def world(network: OpenNetwork, albums: tuple[Album, ...]) -> SoulseekWorld:
    return await network(PeerPlan(username="honest", albums=albums))


@pytest.fixture
async def session(world: SoulseekWorld, log_in: LogIn) -> AsyncIterator[SoulseekSession]:
    async with log_in(world) as session:
        yield session


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(session: SoulseekSession) -> AsyncIterator[Stream]:
    """A connection on which a hostile peer talks to us."""
    (listener,) = (one for one in session._client.network.listening_connections if one)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        writer.write(PeerInit.Request("hostile", "P", 0).serialize())
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


def reply(ticket: int, files: list[FileData], *, username: str = "hostile") -> bytes:
    return PeerSearchReply.Request(
        username=username,
        ticket=ticket,
        results=files,
        has_slots_free=True,
        avg_speed=1,
        queue_size=0,
        locked_results=[],
    ).serialize()


def packed(payload: bytes) -> bytes:
    """An answer to a search with any content."""
    body = SEARCH_REPLY.to_bytes(4, "little") + zlib.compress(payload)
    return len(body).to_bytes(4, "little") + body


def file(name: str, size: int = 1) -> FileData:
    return FileData(unknown=1, filename=name, filesize=size, extension="", attributes=[])


async def answered(
    world: SoulseekWorld, session: SoulseekSession, album: Album, answer: Callable[[int], bytes]
) -> list[Candidate]:
    """What a search finds that the hostile peer answers as well, and first."""
    world.server.answer_delay = 0.2  # the honest one hears of it later
    searching = asyncio.create_task(session.search(f"{album.artist} {album.title}", timedelta(seconds=2)))
    await until(lambda: world.searches("lockgroove"))
    ticket = world.server.received(FileSearch.Request, "lockgroove")[-1].ticket
    async with connected(session) as (_, writer):
        with suppress(ConnectionError):
            writer.write(answer(ticket))
            await writer.drain()
        return await searching


async def hangs_up_on(session: SoulseekSession, talk: bytes) -> int:
    """How many bytes we took of one who says this for ever."""
    taken = 0
    async with connected(session) as (reader, writer), asyncio.timeout(30):
        with suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(talk)
                await writer.drain()
                taken += len(talk)
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 0.001)
    return taken


async def test_ten_thousand_results_are_cut_and_others_heard(
    world: SoulseekWorld, session: SoulseekSession, albums: tuple[Album, ...]
) -> None:
    many = [file(f"x\\{at:05}.flac") for at in range(10_000)]

    found = await answered(world, session, albums[0], lambda ticket: reply(ticket, many))

    by_peer = {offer.peer: len(offer.files) for offer in found}
    assert by_peer == {"hostile": MAX_FILES, "honest": 5}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(packed(bytes(200 * MIB)), id="unpacks to 200 MiB"),
        pytest.param(packed(b"\x05\x00\x00\x00ho\x81le" + bytes(30)), id="a name in no encoding"),
        pytest.param(packed(b"\xff\xff\xff\xffhostile"), id="a name of 4 GiB"),
        pytest.param(packed(b""), id="nothing"),
        pytest.param(b"\x08\x00\x00\x00\x09\x00\x00\x00\x01\x02\x03\x04", id="not even packed"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_no_answer(
    world: SoulseekWorld, session: SoulseekSession, albums: tuple[Album, ...], answer: bytes
) -> None:
    tracemalloc.start()
    try:
        found = await answered(world, session, albums[0], lambda _: answer)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert [offer.peer for offer in found] == ["honest"]
    assert peak < 64 * MIB


async def test_names_and_numbers_that_cannot_be_are_left_out(
    world: SoulseekWorld, session: SoulseekSession, albums: tuple[Album, ...]
) -> None:
    strange = [file("x\\nul\0.flac"), file("x\\" + "y" * 2000), file("x\\huge.flac", (1 << 64) - 1), file("x\\01.flac")]

    found = await answered(world, session, albums[0], lambda ticket: reply(ticket, strange))

    (theirs,) = (offer for offer in found if offer.peer == "hostile")
    assert [one.path for one in theirs.files] == ["x\\01.flac"]


@pytest.mark.parametrize(
    "talk",
    [
        pytest.param(b"\xff\xff\xff\xff" + bytes(64 * 1024), id="4 GiB"),
        pytest.param(bytes(64 * 1024), id="messages of no bytes"),
        pytest.param(b"\x04\x00\x00\x00\xff\xff\xff\xff" * 8192, id="messages that do not exist"),
    ],
)
async def test_who_talks_nonsense_is_hung_up_on(
    session: SoulseekSession, albums: tuple[Album, ...], talk: bytes
) -> None:
    assert await hangs_up_on(session, talk) < 2 * MAX_MESSAGE

    assert [offer.peer for offer in await offers(session, albums[0])] == ["honest"]


async def test_more_connections_than_we_bear_are_hung_up_on(
    session: SoulseekSession, albums: tuple[Album, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.acquisition.soulseek.client.MAX_PEERS", 3)
    async with AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(connected(session)) for _ in range(10)]
        async with asyncio.timeout(30):
            gone = await asyncio.gather(*(reader.read(1) for reader, _ in streams[3:]), return_exceptions=True)

    assert all(read == b"" or isinstance(read, ConnectionError) for read in gone)
    await until(lambda: not session._client.network.peer_connections)
    assert await offers(session, albums[0])


async def test_a_file_without_an_end_is_no_file(
    network: OpenNetwork, log_in: LogIn, albums: tuple[Album, ...], tmp_path: Path
) -> None:
    world = await network(PeerPlan(username="endless", albums=albums, behaviour=Behaviour.ENDLESS))
    target = tmp_path / "01.flac"

    async with log_in(world) as session:
        peer, wanted = await first_file(session, albums[0])
        with suppress(PeerFailed):  # it may also end exactly where it should
            await session.download(peer, wanted, target, **PATIENT)

        assert not target.exists() or target.stat().st_size == wanted.size
        assert await offers(session, albums[0])


def result(peer: str, files: int, *, folder: str = "x") -> SearchResult:
    listed = [file(f"{folder}\\{at}.flac") for at in range(files)]
    return SearchResult(
        ticket=1,
        username=peer,
        has_free_slots=True,
        avg_speed=1 << 32,
        queue_size=1 << 32,
        shared_items=listed,
        locked_results=[],
    )


def test_one_peer_cannot_crowd_out_the_others() -> None:
    answers = Answers(ourselves="lockgroove")

    for at in range(100):
        answers.take(result("hostile", 1, folder=f"{at}"))
    answers.take(result("honest", 1))

    assert answers.count == MAX_ANSWERS_OF_A_PEER + 1
    assert answers.candidates[-1].peer == "honest"


def test_all_peers_together_cannot_fill_the_memory() -> None:
    answers = Answers(ourselves="lockgroove")

    for at in range(MAX_FILES_IN_ALL // MAX_FILES + 10):
        answers.take(result(f"peer{at}", 2 * MAX_FILES))

    assert answers.is_full
    assert sum(len(one.files) for one in answers.candidates) == MAX_FILES_IN_ALL


def test_our_own_answer_and_nameless_peers_are_nobody() -> None:
    answers = Answers(ourselves="lockgroove")

    for name in ("lockgroove", "", "nul\0", "x" * 300):
        answers.take(result(name, 1))

    assert answers.count == 0
