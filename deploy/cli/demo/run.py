"""`lockgroove demo`: the suite in a world of its own, three albums, and a look at what came of them."""

import asyncio
import secrets
import shutil
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

from rich.console import Console

from deploy.cli.demo.api import ENDED, Api
from deploy.cli.demo.board import Board
from deploy.cli.demo.processes import open_suite_processes, open_world_process, suite_addresses, without_settings
from deploy.cli.demo.report import Asked, findings, table
from deploy.demo.albums import Album
from deploy.demo.lidarr.registration import registered
from deploy.demo.world import demo_albums
from libs.errors import FailedPrecondition

_MARK = ".lockgroove-demo"  # in the demo's folder: that it may be emptied
_LIMIT = 120.0  # seconds for all albums to arrive
_PLAIN_WIDTH = 160  # columns where nobody says how wide the output is


class NotADemoFolder(FailedPrecondition):
    """The folder holds something that no demo made, or cannot be made."""

    reason = "NOT_A_DEMO_FOLDER"


async def run_demo(*, folder: Path, keep: bool) -> int:
    """Run the demo below `folder`; the exit status: 0 when every promise was kept."""
    console = _console()
    _empty(folder)
    async with AsyncExitStack() as stack:
        console.print("Starting a Soulseek network and a Lidarr on loopback ...")
        world = await stack.enter_async_context(open_world_process(folder))
        console.print("Starting the suite ...")
        key = f"lg_{secrets.token_urlsafe(32)}"
        environment = {
            **without_settings(),
            **world,
            **suite_addresses(),
            "LOCKGROOVE_HOME": str(folder / "home"),
            "LOCKGROOVE_ADMIN_KEY": key,
        }
        url = await stack.enter_async_context(open_suite_processes(environment, folder / "suite.log"))
        api = Api(url, key)
        stack.push_async_callback(api.aclose)
        await registered(world, url)
        asked = await _ask(api)
        await _follow(api, console)
        status = await _report(api, console, asked, folder / "music")
        if keep:
            await _stay(console, url, key)
    return status


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_PLAIN_WIDTH)


def _empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise NotADemoFolder(f"{folder} is not empty, and no demo made it: choose another --folder")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARK).touch()
    except OSError as error:
        raise NotADemoFolder(f"{folder} cannot be made ({error.strerror}): choose another --folder") from error


async def _ask(api: Api) -> list[Asked]:
    albums = demo_albums()
    wishes = [(albums.by_soulseek, "SOULSEEK", 1), (albums.by_lidarr, "LIDARR", 1), (albums.ten_times, "SOULSEEK", 10)]
    return list(await asyncio.gather(*(_ask_at_once(api, *wish) for wish in wishes)))


async def _ask_at_once(api: Api, album: Album, source: str, times: int) -> Asked:
    wish = {"source": source, "artist": album.artist, "title": album.title, "mbid": album.mbid}
    answers = await asyncio.gather(*(api.ask(**wish) for _ in range(times)))
    names = frozenset(answer["name"] for answer in answers)
    return Asked(label=f"{album.artist} – {album.title}", source=source, times=times, names=names)


async def _follow(api: Api, console: Console) -> None:
    """Show every change until all have ended; after the limit, the report says who has not."""
    active = {acquisition["name"] for acquisition in await api.everything()}
    with suppress(TimeoutError), Board(console) as board:
        async with asyncio.timeout(_LIMIT):
            async for acquisition in api.watch():
                board.show(acquisition)
                if acquisition["state"] in ENDED:
                    active.discard(acquisition["name"])
                if not active:
                    return


async def _report(api: Api, console: Console, asked: Sequence[Asked], music: Path) -> int:
    acquisitions = await api.everything()
    console.print(table(asked, acquisitions))
    broken = findings(asked, acquisitions, music)
    for text in broken:
        console.print(f"[red]broken:[/] {text}", highlight=False)
    if not broken:
        count = sum(len(acquisition["files"]) for acquisition in acquisitions)
        console.print(f"[green]{count} verified files[/] under {music}", highlight=False, soft_wrap=True)
    return 1 if broken else 0


async def _stay(console: Console, url: str, key: str) -> None:
    console.print(f"\nThe suite keeps running. API: {url}/api/docs   key: {key}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends it.")
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
