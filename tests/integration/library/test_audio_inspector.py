import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import av
import pytest

from deploy.demo.albums import invent_albums, write_album
from services.acquisition.audio.inspector import AudioInspector
from services.acquisition.domain.verification import AudioFacts

ALBUM = invent_albums(1, tracks=1)[0]


@pytest.fixture
def flac(tmp_path: Path) -> Path:
    return write_album(ALBUM, tmp_path)[0]


@pytest.fixture(scope="module")
def lossy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sound as MP3; encoding takes a while."""
    folder = tmp_path_factory.mktemp("lossy")
    return converted(write_album(ALBUM, folder)[0], folder / "lossy.mp3", "libmp3lame")


async def inspected(path: Path) -> AudioFacts:
    (facts,) = await AudioInspector().inspect([path])
    return facts


def converted(source: Path, target: Path, codec: str) -> Path:
    with av.open(str(source)) as read, av.open(str(target), "w") as write:
        stream = write.add_stream(codec, rate=44_100)
        assert isinstance(stream, av.AudioStream)
        resampler = av.AudioResampler(format=stream.format, layout="stereo", rate=44_100)
        for frame in read.decode(audio=0):
            for piece in resampler.resample(frame):
                write.mux(stream.encode(piece))
        write.mux(stream.encode(None))
    return target


def spoiled(source: Path, target: Path, *, keep: float = 1.0, flip: float | None = None) -> Path:
    content = bytearray(source.read_bytes())
    if flip is not None:
        content[int(len(content) * flip)] ^= 0xFF
    target.write_bytes(content[: int(len(content) * keep)])
    return target


async def test_a_good_file_is_decoded_to_its_end(flac: Path) -> None:
    facts = await inspected(flac)

    assert (facts.decoded, facts.container, facts.codec, facts.error) == (True, "flac", "flac", "")
    assert facts.duration == facts.declared_duration
    assert facts.duration is not None
    assert facts.duration.total_seconds() == pytest.approx(ALBUM.tracks[0].seconds, abs=0.01)


async def test_tags_are_read(flac: Path) -> None:
    tags = (await inspected(flac)).tags

    assert (tags.artist, tags.album, tags.title) == (ALBUM.artist, ALBUM.title, ALBUM.tracks[0].title)
    assert (tags.track, tags.disc, tags.year) == (1, 1, ALBUM.year)


@pytest.mark.parametrize(
    ("extension", "codec", "container"),
    [("m4a", "aac", "mp4"), ("wav", "pcm_s16le", "wav"), ("aiff", "pcm_s16be", "aiff")],
)
async def test_other_formats_are_decoded(flac: Path, extension: str, codec: str, container: str) -> None:
    facts = await inspected(converted(flac, flac.with_suffix(f".{extension}"), codec))

    assert (facts.decoded, facts.container) == (True, container)


@pytest.mark.parametrize("keep", [0.01, 0.5, 0.999])
async def test_a_truncated_flac_is_found_out(flac: Path, keep: float) -> None:
    assert not (await inspected(spoiled(flac, flac.with_name("short.flac"), keep=keep))).decoded


async def test_one_wrong_byte_in_a_flac_is_found_out(flac: Path) -> None:
    facts = await inspected(spoiled(flac, flac.with_name("flipped.flac"), flip=0.5))

    assert not facts.decoded
    assert facts.error


@pytest.mark.parametrize("extension", ["mp3", "wav"])
async def test_another_truncated_file_is_shorter_than_it_declares(flac: Path, lossy: Path, extension: str) -> None:
    whole = lossy if extension == "mp3" else converted(flac, flac.with_suffix(".wav"), "pcm_s16le")

    facts = await inspected(spoiled(whole, flac.with_name(f"short.{extension}"), keep=0.6))

    assert facts.duration is not None
    assert facts.declared_duration is not None
    assert facts.duration < facts.declared_duration - timedelta(seconds=1)


async def test_the_container_is_told_by_the_content(flac: Path, lossy: Path) -> None:
    facts = await inspected(spoiled(lossy, flac.with_name("renamed.flac")))

    assert (facts.decoded, facts.container) == (True, "mp3")


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 5000, b"fLaC" * 2000, b"#EXTM3U\nfile:///etc/hostname\n", b"ffconcat version 1.0\nfile x\n"],
)
async def test_what_is_not_audio_is_not_decodable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.flac").write_bytes(content)

    assert not (await inspected(tmp_path / "odd.flac")).decoded


async def test_a_file_that_cannot_be_read_says_nothing_about_its_content(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.flac"):
        await inspected(tmp_path / "gone.flac")


async def test_a_probe_that_is_stopped_with_the_service_says_nothing_about_the_file(tmp_path: Path) -> None:
    stopped = tmp_path / "stopped"
    once = f"if not os.path.exists({str(stopped)!r}): open({str(stopped)!r}, 'w'); os.kill(os.getpid(), 15)"

    facts = await AudioInspector(command=probe_that(once, on="good")).inspect([tmp_path / "good"])

    assert stopped.exists()
    assert [one.decoded for one in facts] == [True]


async def test_a_crash_of_the_probe_is_the_fault_of_the_file_it_was_at(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("good", "deadly", "good too")]
    for path in paths:
        path.touch()

    facts = await AudioInspector(command=probe_that("os.abort()", on="deadly")).inspect(paths)

    assert [one.decoded for one in facts] == [True, False, True]


async def test_a_probe_that_hangs_is_ended_after_the_files_time(tmp_path: Path) -> None:
    inspector = AudioInspector(
        file_timeout=timedelta(seconds=0.5), command=probe_that("import time; time.sleep(60)", on="slow")
    )

    (tmp_path / "slow").touch()

    facts = await inspector.inspect([tmp_path / "slow"])

    assert [one.decoded for one in facts] == [False]


async def test_a_probe_has_no_more_memory_than_it_is_given(flac: Path) -> None:
    facts = await AudioInspector(memory_bytes=32 << 20).inspect([flac])

    assert [one.decoded for one in facts] == [False]


async def test_decoding_happens_in_another_process(flac: Path) -> None:
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from services.acquisition.audio.inspector import AudioInspector\n"
        f"asyncio.run(AudioInspector().inspect([Path({str(flac)!r})]))\n"
        "assert not {'av', 'mutagen'} & set(sys.modules)\n"
    )

    child = await asyncio.create_subprocess_exec(sys.executable, "-c", code)

    assert await child.wait() == 0


def probe_that(does: str, *, on: str) -> Sequence[str]:
    """A probe of the same manners that says every file is good, except for the one it stumbles over."""
    code = (
        "import json, os, sys\n"
        "for path in json.load(sys.stdin)[0]:\n"
        f"    if path.endswith({on!r}):\n        {does}\n"
        "    print(json.dumps({'path': path, 'size': 1, 'sha256': '', 'decoded': True}), flush=True)\n"
    )
    return (sys.executable, "-I", "-c", code)


async def test_what_a_loss_less_file_claims_is_measured(flac: Path) -> None:
    facts = await inspected(flac)

    assert (facts.sample_rate, facts.bit_depth) == (44_100, 16)


async def test_the_bit_rate_of_a_lossy_file_is_that_of_its_sound_alone(lossy: Path) -> None:
    facts = await inspected(lossy)

    assert facts.bitrate == pytest.approx(128, rel=0.1)
