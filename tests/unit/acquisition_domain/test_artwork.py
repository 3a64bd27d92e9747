from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.artwork import MAX_BYTES, cover_among, picture_format
from services.acquisition.domain.candidates import RemoteFile

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (500).to_bytes(4) + (400).to_bytes(4) + bytes(9) + b"\0\0\0\0IEND\xaeB`\x82"
FRAME = b"\xff\xc0\x00\x11\x08" + (400).to_bytes(2) + (500).to_bytes(2) + bytes(10)
JPEG = b"\xff\xd8\xff\xe0\x00\x10" + bytes(14) + FRAME + b"\xff\xd9"


def file(name: str, size: int = 1000) -> RemoteFile:
    return RemoteFile(path=f"@@abc\\Album\\{name}", size=size)


def test_the_front_is_found_by_its_name() -> None:
    found = cover_among([file("01 Song.flac"), file("back.jpg"), file("Folder.jpg"), file("COVER.PNG")])

    assert found == file("COVER.PNG")


@pytest.mark.parametrize("one", [file("cover.exe"), file("cover.jpg", 0), file("cover.jpg", MAX_BYTES + 1)])
def test_what_cannot_be_a_picture_is_not_fetched(one: RemoteFile) -> None:
    assert cover_among([one]) is None


def test_pictures_are_told_by_their_content() -> None:
    assert (picture_format(PNG), picture_format(JPEG)) == ("png", "jpg")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        PNG[:30],
        JPEG[:-2],
        JPEG[:20],
        PNG.replace((500).to_bytes(4), (50_000).to_bytes(4)),
        JPEG.replace((400).to_bytes(2), (0).to_bytes(2)),
    ],
)
def test_what_is_no_whole_picture_of_a_sensible_size_is_refused(content: bytes) -> None:
    assert picture_format(content) is None


@given(st.binary(max_size=200), st.sampled_from([b"", PNG[:8], b"\xff\xd8\xff"]))
def test_no_content_breaks_the_look(content: bytes, beginning: bytes) -> None:
    assert picture_format(beginning + content) in (None, "jpg", "png")


def test_a_cover_beside_hostile_names_is_found() -> None:
    assert cover_among([replace(file("x"), path="\\\\//"), replace(file("x"), path=""), file("front.jpeg")]) is not None
