import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.acquisition.domain.album import Track
from services.acquisition.domain.naming import MAX_BYTES, album_folder, safe_name, track_name

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"COM{n}" for n in range(10)), *(f"LPT{n}" for n in range(10))}


def named(title: str, *, number: int = 1, disc: int = 1, several: bool = False) -> str:
    track = Track(disc=disc, number=number, title=title)
    return track_name(track, extension="flac", several_discs=several)


def test_a_track_is_named_by_number_and_title() -> None:
    assert named("Gilded Lanterns", number=7) == "07 Gilded Lanterns.flac"


def test_a_track_of_several_discs_names_its_disc() -> None:
    assert named("Gilded Lanterns", number=7, disc=2, several=True) == "2-07 Gilded Lanterns.flac"


def test_a_track_without_title_is_named_by_its_number() -> None:
    assert named("", number=7) == "07 Track 7.flac"


def test_the_folder_names_the_year_where_it_is_known() -> None:
    assert album_folder("Amber", "Lanterns", 1994) == PurePosixPath("Amber/Lanterns (1994)")
    assert album_folder("Amber", "Lanterns", None) == PurePosixPath("Amber/Lanterns")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("..", "x"),
        ("", "x"),
        ("   ", "x"),
        ("???", "x"),
        ("AC/DC", "AC-DC"),
        ("a\\b", "a-b"),
        ("Title: Sub", "Title - Sub"),
        ("con", "con_"),
        ("NUL.txt", "NUL_.txt"),
        ("COM1", "COM1_"),
        ("Console", "Console"),
        ("...And Then", "And Then"),
        ("Trailing... ", "Trailing"),
        ("tab\there\x00\x1f", "tab here"),
        ("\u202egnp.exe", "gnp.exe"),
        ("e\u0301", "é"),
    ],
)
def test_harmful_text_becomes_a_harmless_name(text: str, name: str) -> None:
    assert safe_name(text, fallback="x") == name


def test_a_long_title_is_cut_between_characters_and_keeps_its_extension() -> None:
    name = named("ö" * 300)

    assert name.endswith("ö.flac")
    assert MAX_BYTES - 1 <= len(name.encode()) <= MAX_BYTES


def test_a_cut_does_not_split_what_is_drawn_as_one_character() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"

    name = safe_name(family * 30, fallback="x")

    assert len(name.encode()) <= MAX_BYTES
    assert name == family * (len(name) // len(family))


@given(artist=st.text(max_size=300), title=st.text(max_size=300), year=st.none() | st.integers(1860, 2200))
@example(artist="../../etc", title="/passwd", year=None)
@example(artist="..", title="..", year=1994)
@example(artist="CON", title="aux.", year=None)
def test_no_text_leaves_the_library(artist: str, title: str, year: int | None) -> None:
    folder = album_folder(artist, title, year)
    path = Path("/music") / folder / named(title)

    assert len(folder.parts) == 2
    assert path.resolve().parent.parent.parent == Path("/music")
    assert all(is_portable(part) for part in path.parts[2:])


def is_portable(name: str) -> bool:
    return (
        0 < len(name.encode()) <= MAX_BYTES
        and not set('/\\:*?"<>|') & set(name)
        and not any(unicodedata.category(char) == "Cc" for char in name)
        and not name.startswith(".")
        and not name.endswith((".", " "))
        and name.split(".")[0].strip().upper() not in RESERVED
        and unicodedata.is_normalized("NFC", name)
    )
