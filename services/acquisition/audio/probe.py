"""The child process that decodes what strangers sent: started by `AudioInspector`, never imported by a service.

Reads a JSON list of paths from its input and writes one JSON object per line: `{"began": path}` before it touches a
file, then that file's facts. Stands alone (standard library, PyAV, mutagen), so that it can be run by its path.
"""

import errno
import hashlib
import json
import os
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_FORMATS = "flac,mp3,mov,ogg,wav,aiff"
_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2": "mp4"}
_LOSSLESS = {"flac", "wav", "aiff"}
_TOLERATED = 2  # damaged packets in a lossy stream: cut bit reservoirs at either end are not a fault
_CHUNK = 1 << 20
_MAX_TEXT = 1000

_KEYS = {
    "artist": ("artist", "TPE1"),
    "album_artist": ("albumartist", "album artist", "TPE2"),
    "album": ("album", "TALB"),
    "title": ("title", "TIT2"),
    "track": ("tracknumber", "track", "TRCK"),
    "disc": ("discnumber", "disc", "TPOS"),
    "year": ("date", "year", "originaldate", "TDRC", "TYER"),
}
_NUMBERS = {"track": r"\d{1,4}", "disc": r"\d{1,4}", "year": r"(?:1[89]|2[01])\d\d"}


def main() -> None:
    """Probe every path of the request, under limits that this process sets for itself."""
    paths, limits = json.load(sys.stdin)
    _limit(limits)
    for path in paths:
        _say({"began": path})
        _say({"path": path, **_facts(Path(path))})


def _limit(limits: Mapping[str, int]) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (limits["cpu_seconds"], limits["cpu_seconds"] + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits["memory_bytes"], limits["memory_bytes"]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)


def _say(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = {"size": path.stat().st_size, "sha256": _sha256(path)}
    except OSError as error:
        return {"errno": error.errno or errno.EIO}
    try:
        return facts | _decode(path) | _described(path)
    except Exception as error:  # noqa: BLE001 a hostile file may raise anything in two parsers: each is a fact about it
        return facts | {"decoded": False, "error": f"{type(error).__name__}: {error}"[:_MAX_TEXT]}


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _decode(path: Path) -> dict[str, Any]:
    """Decode the first audio stream to its end; other formats and protocols than those we ask for stay closed."""
    import av

    av.logging.set_level(av.logging.PANIC)
    allowed = {"format_whitelist": _FORMATS, "protocol_whitelist": "file"}
    with av.open(str(path), container_options=allowed, options={"err_detect": "crccheck+bitstream+buffer"}) as media:
        container = _CONTAINERS.get(media.format.name, media.format.name)
        if not media.streams.audio:
            return {"container": container, "decoded": False, "error": "no audio stream"}
        stream = media.streams.audio[0]
        stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
        tally = _Tally()
        for frame in _frames(media, stream, tally):
            tally.add(frame)
        return {"container": container, "codec": stream.codec_context.name, **tally.facts(container)}


def _frames(media: Any, stream: Any, tally: "_Tally") -> Iterator[Any]:
    import av

    for packet in media.demux(stream):
        tally.bytes += packet.size
        try:
            yield from packet.decode()
        except av.error.FFmpegError as error:
            tally.damage(str(error))


class _Tally:
    """What was decoded so far, and the MD5 of 16-bit samples as FLAC defines it."""

    def __init__(self) -> None:
        self.samples = 0
        self.bytes = 0
        self.rate = 0
        self.errors: list[str] = []
        self.md5: Any = hashlib.md5(usedforsecurity=False)

    def damage(self, error: str) -> None:
        self.errors.append(error)

    def add(self, frame: Any) -> None:
        self.samples += frame.samples
        self.rate = frame.sample_rate
        if frame.format.name == "s16":
            self.md5.update(memoryview(frame.planes[0])[: frame.samples * len(frame.layout.channels) * 2])
        else:
            self.md5 = hashlib.md5(usedforsecurity=False)

    def facts(self, container: str) -> dict[str, Any]:
        tolerated = 0 if container in _LOSSLESS else _TOLERATED
        decoded = self.samples > 0 and len(self.errors) <= tolerated
        seconds = self.samples / self.rate if self.rate else None
        return {
            "decoded": decoded,
            "seconds": seconds,
            "sample_rate": self.rate,
            "bitrate": round(self.bytes * 8 / 1000 / seconds) if seconds else 0,
            "samples": self.samples,
            "md5": self.md5.hexdigest(),
            "error": "" if decoded else (self.errors or ["no audio was decoded"])[0][:_MAX_TEXT],
        }


def _described(path: Path) -> dict[str, Any]:
    """The tags and what the header declares."""
    import mutagen

    try:
        file = mutagen.File(path, easy=True)
    except mutagen.MutagenError:
        return {}
    if file is None:
        return {}
    return {"tags": _tags(file.tags), **_declared(path, file.info)}


def _declared(path: Path, info: Any) -> dict[str, Any]:
    """What the header claims. An MP3 without a Xing, Info or VBRI header claims nothing: its length is a guess."""
    offset = getattr(info, "frame_offset", None)
    if offset is not None and not any(mark in _bytes_at(path, offset) for mark in (b"Xing", b"Info", b"VBRI")):
        return {}
    declared: dict[str, Any] = {"declared_seconds": info.length} if info.length else {}
    if samples := getattr(info, "total_samples", 0):
        declared["declared_samples"] = samples
    if bits := getattr(info, "bits_per_sample", 0):
        declared["bit_depth"] = bits
    if getattr(info, "bits_per_sample", None) == 16 and getattr(info, "md5_signature", 0):
        declared["declared_md5"] = f"{info.md5_signature:032x}"
    return declared


def _bytes_at(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(256)


def _tags(tags: Any) -> dict[str, Any]:
    found = {name: text for name, keys in _KEYS.items() if (text := _first(tags, keys))}
    return {name: _number(name, text) if name in _NUMBERS else text for name, text in found.items()}


def _first(tags: Any, keys: tuple[str, ...]) -> str:
    for key in keys if tags is not None else ():
        values = tags.get(key)
        texts = getattr(values, "text", values)
        if texts:
            return str(texts[0] if isinstance(texts, list) else texts).strip()[:_MAX_TEXT]
    return ""


def _number(name: str, text: str) -> int | None:
    match = re.search(_NUMBERS[name], text)
    return int(match[0]) if match else None


if __name__ == "__main__":
    main()
