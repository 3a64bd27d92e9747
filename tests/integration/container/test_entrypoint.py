"""The entry point as the image runs it, in a process of its own, with real users and real mounts.

Its folders lie on /dev/shm, a mount on every Linux, in containers too, so that nothing has to be mounted. The service
that it makes way for is a stand-in, which tells what it is. Starts as root are tried where root runs the tests.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.docs.pages import ROOT

SOMEBODY = 12345
STARTS = ("root", "user") if os.geteuid() == 0 else ("user",)
AS_USER, AS_GROUP = (SOMEBODY, SOMEBODY) if os.geteuid() == 0 else (os.geteuid(), os.getegid())

STAND_IN = """
import json, os, signal, sys, pathlib
home = pathlib.Path(os.environ["LOCKGROOVE_HOME"])
(home / "made").touch()
ids = {"uids": os.getresuid(), "gids": os.getresgid(), "groups": os.getgroups()}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(42))
print(json.dumps({**ids, "pid": os.getpid(), "environment": dict(os.environ)}), flush=True)
signal.pause()
"""


class Box:
    """What a container has: the code, readable for everybody, and three folders that are mounted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home, self.downloads, self.music = (folder / name for name in ("config", "downloads", "music"))
        self.environment: dict[str, str] = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder / "code"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LOCKGROOVE_HOME": str(self.home),
            "DOWNLOAD_PATH": str(self.downloads),
            "MUSIC_PATH": str(self.music),
            "LOCKGROOVE_SECRET_KEY": "k" * 32,
        }

    def start(self, *command: str, by: str = STARTS[0], **extra: str) -> "subprocess.Popen[str]":
        """The entry point, started by root or by a user."""
        other = by == "user" and os.geteuid() == 0
        return subprocess.Popen(
            [_interpreter(), "-m", "deploy.container.entrypoint", *command],
            cwd="/",
            env={**self.environment, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=AS_USER if other else None,
            group=AS_GROUP if other else None,
            extra_groups=[] if other else None,
        )

    def refusals(self, *command: str, by: str = STARTS[0], **extra: str) -> list[str]:
        """What it says when it does not go on."""
        process = self.start(*command, by=by, **extra)
        printed, told = process.communicate(timeout=30)
        assert (process.returncode, printed) == (1, ""), told
        return told.splitlines()

    def service(self, name: str = "acquisition", *, by: str = STARTS[0], **extra: str) -> dict[str, Any]:
        """What the service is that it makes way for; ended afterwards by SIGTERM."""
        with self.start(name, by=by, **extra) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            process.send_signal(signal.SIGTERM)
            told = process.stderr.read()
        assert process.returncode == 42, told  # the service got the signal itself
        return {**json.loads(line), "told": told, "started": process.pid}


def _interpreter() -> str:
    """An interpreter that everybody may run: the one that runs the tests may lie in somebody's home."""
    own = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    everybody = 0o001 if os.geteuid() == 0 else 0
    candidates = [own, Path("/usr/local/bin/python3").resolve(), Path("/usr/bin/python3").resolve()]
    found = [
        path
        for path in candidates
        if all(up.exists() and up.stat().st_mode & everybody == everybody for up in (path, *path.parents))
    ]
    assert found, "there is no Python that other users than root may run: install python3 for all"
    return str(found[0])


@pytest.fixture
def box() -> Iterator[Box]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        folder.chmod(0o755)
        code = folder / "code" / "deploy" / "container"
        shutil.copytree(ROOT / "deploy" / "container", code, ignore=shutil.ignore_patterns("__pycache__"))
        for service in ("acquisition", "gateway"):
            place = folder / "code" / "services" / service
            place.mkdir(parents=True)
            (place / "__main__.py").write_text(STAND_IN)
        box = Box(folder)
        for each in (box.home, box.downloads, box.music):
            each.mkdir()
            os.chown(each, AS_USER, AS_GROUP)
        yield box


def account(by: str) -> Mapping[str, str]:
    return {"PUID": str(SOMEBODY), "PGID": str(SOMEBODY)} if by == "root" else {}


@pytest.mark.parametrize("by", STARTS)
def test_the_service_is_the_user_for_good_and_gets_the_signals(box: Box, by: str) -> None:
    service = box.service(by=by, **account(by))

    assert service["uids"] == [AS_USER] * 3
    assert service["gids"] == [AS_GROUP] * 3
    assert service["groups"] in ([], os.getgroups())
    assert service["pid"] == service["started"]


@pytest.mark.parametrize("by", STARTS)
def test_files_have_the_owner_and_the_mask_that_were_asked_for(box: Box, by: str) -> None:
    box.service(by=by, **account(by), UMASK="027")

    made = (box.home / "made").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (AS_USER, 0o640)


@pytest.mark.parametrize("by", STARTS)
def test_nothing_but_what_the_service_makes_is_left_behind(box: Box, by: str) -> None:
    box.service(by=by, **account(by))

    left = [file.name for folder in (box.home, box.downloads, box.music) for file in folder.iterdir()]
    assert left == ["made"]


def test_all_that_is_wrong_is_told_at_once(box: Box) -> None:
    box.downloads.rmdir()

    told = box.refusals("up", UMASK="99", TZ="Mars/Olympus", MUSIC_PATH="/", LIDARR_API_KEY_FILE="/nowhere")

    # Without a mask nothing is tried as the user: the file and the folder come up once the mask is mended.
    assert [line.split(":")[:2] for line in told] == [["error", f" {name}"] for name in ("UMASK", "TZ", "MUSIC_PATH")]
    told = box.refusals("up", MUSIC_PATH="/", LIDARR_API_KEY_FILE="/nowhere", **account(STARTS[0]))
    assert [line.split(":")[1].strip() for line in told] == ["MUSIC_PATH", "DOWNLOAD_PATH", "LIDARR_API_KEY_FILE"]


@pytest.mark.parametrize("by", STARTS)
def test_a_folder_that_the_user_cannot_write_is_named_with_what_mends_it(box: Box, by: str) -> None:
    box.downloads.chmod(0o555)
    box.music.chmod(0o555)

    told = box.refusals("acquisition", by=by, **account(by))

    assert [line.split()[1] for line in told] == ["DOWNLOAD_PATH:", "MUSIC_PATH:"]
    assert str(box.downloads) in told[0]
    assert f"`chown -R {AS_USER}:" in told[0]


@pytest.mark.parametrize("by", STARTS)
def test_a_library_may_be_for_reading_only_if_that_is_meant(box: Box, by: str) -> None:
    box.music.chmod(0o555)

    assert box.service(by=by, MUSIC_READ_ONLY="true", **account(by))["told"] == ""


def test_a_service_without_downloads_needs_no_folders_for_them(box: Box) -> None:
    shutil.rmtree(box.music)

    assert box.service("gateway", **account(STARTS[0]))["told"] == ""


def test_a_link_that_leads_to_itself_is_no_folder(box: Box) -> None:
    loop = box.music / "loop"
    loop.symlink_to("loop")

    [told] = box.refusals("acquisition", MUSIC_PATH=str(loop), **account(STARTS[0]))

    assert told == f"error: MUSIC_PATH: there is no folder {loop}"


def test_services_apart_need_the_same_root_key(box: Box) -> None:
    [told] = box.refusals("gateway", LOCKGROOVE_SECRET_KEY="", **account(STARTS[0]))

    assert told.startswith("error: LOCKGROOVE_SECRET_KEY_FILE: is not set")


def test_the_service_gets_the_secret_and_not_the_name_of_its_file(box: Box) -> None:
    file = box.folder / "password"
    file.write_text("hush\n")

    seen = box.service(SOULSEEK_PASSWORD_FILE=str(file), **account(STARTS[0]))

    assert seen["environment"]["SOULSEEK_PASSWORD"] == "hush"
    assert "SOULSEEK_PASSWORD_FILE" not in seen["environment"]


def test_databases_of_somebody_else_are_told_of(box: Box) -> None:
    foreign = box.home / "config.db"
    foreign.mkdir(0o500)  # as good as a file that may not be written, and also to who owns it
    os.chown(foreign, AS_USER, AS_GROUP)

    [told] = box.refusals("gateway", **account(STARTS[0]))

    assert told.startswith(f"error: LOCKGROOVE_HOME: {foreign} is not ours")


def test_ids_that_cannot_be_taken_are_said_to_be_ignored(box: Box) -> None:
    seen = box.service(by="user", PUID="777")

    assert seen["told"] == f"note: PUID: 777 is ignored: the container was started as {AS_USER}\n"


@pytest.mark.parametrize("kept", [False, True])
def test_a_new_volume_is_taken_over_from_root_but_never_what_is_in_one(box: Box, kept: bool) -> None:
    """Under a user who is not root nothing belongs to root here, and the folder is his own anyway."""
    os.chown(box.home, os.geteuid(), os.getegid())
    box.home.chmod(0o755)
    if kept:
        (box.home / "secret.key").write_text("of root")

    if kept and os.geteuid() == 0:
        [told] = box.refusals("gateway", **account("root"))
        assert f"{box.home} cannot be written to" in told
        assert box.home.stat().st_uid == 0
    else:
        box.service("gateway", **account(STARTS[0]))
        assert box.home.stat().st_uid == AS_USER
