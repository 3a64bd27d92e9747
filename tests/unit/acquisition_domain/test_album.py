from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.album import Album, Track

names = st.text(min_size=1, max_size=300)


def album(artist: str = "The Amber Harbours", title: str = "Counting Lanterns", mbid: str | None = None) -> Album:
    return Album(artist=artist, title=title, release_group_mbid=mbid)


@pytest.mark.parametrize(
    "title",
    ["COUNTING LANTERNS", "counting  lanterns", "Counting-Lanterns", "Ｃounting Lanterns", "Counting Lanterns!"],
)
def test_a_typists_differences_are_the_same_album(title: str) -> None:
    assert album(title=title).key() == album().key()


@pytest.mark.parametrize("title", ["Counting Lanterns (Deluxe Edition)", "Counting Lanterns 2", "Counting", "÷"])
def test_another_edition_or_title_is_another_album(title: str) -> None:
    assert album(title=title).key() != album().key()


@pytest.mark.parametrize(("one", "other"), [("+", "÷"), ("!!!", "???"), ("×", "=")])
def test_titles_of_nothing_but_signs_stay_apart(one: str, other: str) -> None:
    assert album(title=one).key() != album(title=other).key()


def test_a_release_group_is_the_key_however_it_is_spelled() -> None:
    mbid = "6C1A6C3E-1A2B-4C3D-8E4F-5A6B7C8D9E0F"

    assert album(mbid=mbid).key() == album("Somebody", "Else", mbid.lower()).key() == mbid.lower()


def test_artist_and_title_cannot_run_into_each_other() -> None:
    assert album("Amber", "Harbours Lanterns").key() != album("Amber Harbours", "Lanterns").key()


@given(artist=names, title=names)
def test_the_key_is_never_empty_and_does_not_depend_on_the_case_of_ascii(artist: str, title: str) -> None:
    key = album(artist, title).key()

    assert key
    assert album(artist, title).key() == key


@given(artist=names, title=names, number=st.integers(1, 999), seconds=st.none() | st.integers(0, 100_000))
def test_an_album_survives_json(artist: str, title: str, number: int, seconds: int | None) -> None:
    duration = None if seconds is None else timedelta(milliseconds=seconds)
    tracks = (Track(disc=1, number=number, title=title, duration=duration),)
    wish = Album(artist=artist, title=title, year=1994, tracks=tracks)

    assert Album.from_json(wish.to_json()) == wish
