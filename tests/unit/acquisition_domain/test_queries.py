from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.queries import MAX_LENGTH, queries, track_query


def asked(artist: str, title: str) -> tuple[str, ...]:
    return queries(Album(artist=artist, title=title))


def test_the_artist_with_the_title_is_asked_first_and_the_title_alone_last() -> None:
    assert asked("Amber Harbours", "Counting Lanterns") == ("amber harbours counting lanterns", "counting lanterns")


def test_brackets_and_featured_artists_are_left_out() -> None:
    assert asked("Amber", "Lanterns (Deluxe Edition) [2019] feat. Somebody")[0] == "amber lanterns"


def test_signs_that_change_a_query_are_left_out() -> None:
    assert asked("*Amber", '-Counting Lanterns\' "End"')[0] == "amber counting lanterns end"


def test_accents_are_tried_as_written_and_without() -> None:
    assert asked("Björk", "Début")[:2] == ("björk début", "bjork debut")


def test_a_single_word_is_not_asked_for_alone() -> None:
    assert asked("Amber", "Amber") == ("amber amber",)


@given(artist=st.text(min_size=1, max_size=300), title=st.text(min_size=1, max_size=300))
def test_queries_are_short_plain_and_never_the_same_twice(artist: str, title: str) -> None:
    found = asked(artist, title)

    assert all(0 < len(query) <= MAX_LENGTH for query in found)
    assert len(set(found)) == len(found)
    assert not any(word.startswith(("-", "*")) for query in found for word in query.split())


def test_a_single_track_is_asked_for_by_artist_and_title() -> None:
    track = Track(disc=1, number=7, title="Gilded Lanterns (feat. Somebody) [Remaster]")

    assert track_query(Album(artist="The Amber Harbours", title="x"), track) == "the amber harbours gilded lanterns"


def test_a_track_whose_title_has_no_words_is_not_asked_for() -> None:
    assert track_query(Album(artist="a", title="x"), Track(disc=1, number=1, title="...")) == ""
