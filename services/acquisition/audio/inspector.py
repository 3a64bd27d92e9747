"""Looks into audio files without touching them: a child process decodes, so that a hostile file can only kill that."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from services.acquisition.domain.verification import AudioFacts, Tags

_PROBE = Path(__file__).with_name("probe.py")
_LINE_LIMIT = 1 << 20
_END_SECONDS = 5.0
_TOLD_TO_END = frozenset({-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})


class AudioInspector:
    """Decodes files to their end and reads their tags, in a child process with its own limits.

    `file_timeout` is how long one file may take; `cpu_seconds` and `memory_bytes` bound the child.
    """

    def __init__(
        self,
        *,
        file_timeout: timedelta = timedelta(minutes=5),
        cpu_seconds: int = 1800,
        memory_bytes: int = 2 << 30,
        command: Sequence[str] = (sys.executable, "-I", str(_PROBE)),
    ) -> None:
        self._file_timeout = file_timeout.total_seconds()
        self._limits = {"cpu_seconds": cpu_seconds, "memory_bytes": memory_bytes}
        self._command = tuple(command)

    async def inspect(self, paths: Sequence[Path]) -> list[AudioFacts]:
        """The facts about each file, in order. A file on which the child dies or hangs counts as not decodable.

        Raises OSError for a file that cannot be read: that is no fault of its content.
        """
        facts: list[AudioFacts] = []
        while len(facts) < len(paths):
            facts.extend(await self._pass(paths[len(facts) :]))
        return facts

    async def _pass(self, paths: Sequence[Path]) -> list[AudioFacts]:
        """The facts of one child: of all paths, or up to the one that ended it."""
        child = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_LIMIT,
        )
        try:
            return await self._converse(child, paths)
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _converse(self, child: asyncio.subprocess.Process, paths: Sequence[Path]) -> list[AudioFacts]:
        assert child.stdin is not None
        assert child.stdout is not None
        facts: list[AudioFacts] = []
        with suppress(BrokenPipeError, ConnectionResetError):
            child.stdin.write(json.dumps([[str(path) for path in paths], self._limits]).encode())
            await child.stdin.drain()
            child.stdin.close()
        while len(facts) < len(paths):
            try:
                line = await asyncio.wait_for(child.stdout.readline(), self._file_timeout)
                said = json.loads(line) if line else {}
            except (TimeoutError, ValueError):
                said = None
            if not said:
                if said is None or not await _was_told_to_end(child):
                    facts.append(await _undecodable(paths[len(facts)]))
                break
            if "path" in said:
                facts.append(_to_facts(paths[len(facts)], said))
        return facts


async def _was_told_to_end(child: asyncio.subprocess.Process) -> bool:
    """Whether somebody ended the child, maybe with all of the service: the file is looked into again."""
    try:
        return await asyncio.wait_for(child.wait(), _END_SECONDS) in _TOLD_TO_END
    except TimeoutError:
        return False


async def _undecodable(path: Path) -> AudioFacts:
    """The facts about a file that killed its inspector or kept it too long."""

    size = (await asyncio.to_thread(path.stat)).st_size
    return AudioFacts(path=path, size=size, sha256="", error="decoding it crashed, hung or used too much memory")


def _to_facts(path: Path, said: Mapping[str, Any]) -> AudioFacts:
    if "errno" in said:
        raise OSError(said["errno"], os.strerror(said["errno"]), str(path))
    damage = next(_contradictions(said), "")
    return AudioFacts(
        path=path,
        size=said["size"],
        sha256=said["sha256"],
        container=said.get("container", ""),
        codec=said.get("codec", ""),
        decoded=said.get("decoded", False) and not damage,
        duration=_duration(said.get("seconds")),
        declared_duration=_duration(said.get("declared_seconds")),
        sample_rate=said.get("sample_rate", 0),
        bit_depth=said.get("bit_depth", 0),
        bitrate=said.get("bitrate", 0),
        tags=Tags(**said.get("tags", {})),
        error=said.get("error", "") or damage,
    )


def _contradictions(said: Mapping[str, Any]) -> Iterator[str]:
    """What a FLAC's own header denies: the number of samples and their MD5."""
    if said.get("declared_samples") and said["declared_samples"] != said.get("samples"):
        yield f"{said.get('samples')} samples of {said['declared_samples']}"
    if said.get("declared_md5") and said["declared_md5"] != said.get("md5"):
        yield "the decoded samples differ from the checksum in the header"


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
