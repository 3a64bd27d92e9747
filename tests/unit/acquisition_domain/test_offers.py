from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.offers import Offer, compose, missing_tracks
from services.acquisition.domain.ranking import RankedCandidate, Tracklist, rank_all

TITLES = ("Gilded Lanterns", "Crooked Rivers", "Hollow Pendulums", "Idle Signals")
TRACKS = tuple(
    Track(disc=1, number=number, title=title, duration=timedelta(seconds=200)) for number, title in enumerate(TITLES, 1)
)
ALBUM = Album(artist="The Amber Harbours", title="Counting Lanterns", tracks=TRACKS)
FOLDER = r"@@abc\The Amber Harbours\Counting Lanterns"
LISTS: tuple[Tracklist, ...] = (TRACKS,)


def holding(peer: str, *numbers: int, form: str = "flac", folder: str = FOLDER) -> Candidate:
    files = tuple(
        RemoteFile(path=f"{folder}\\{number:02} {TITLES[number - 1]}.{form}", size=1000, bitrate=320)
        for number in numbers
    )
    return Candidate(peer=peer, folder=folder, files=files, free_slot=True)


def ranked(*candidates: Candidate) -> list[RankedCandidate]:
    return rank_all(ALBUM, candidates)


def deliveries(offer: Offer | None) -> list[str]:
    assert offer is not None
    return [f"{piece.peer}{piece.pick.track.number}" for piece in offer.pieces]


def test_a_whole_folder_is_taken_before_a_mix() -> None:
    found = ranked(holding("a", 1, 2, 3), holding("b", 4), holding("whole", 1, 2, 3, 4))

    assert deliveries(compose(LISTS, found)) == ["whole1", "whole2", "whole3", "whole4"]


def test_the_largest_part_is_filled_by_as_few_others_as_possible() -> None:
    found = ranked(holding("a", 1, 2), holding("b", 3), holding("c", 3, 4))

    assert deliveries(compose(LISTS, found)) == ["a1", "a2", "c3", "c4"]


def test_parts_of_one_format_are_preferred() -> None:
    found = ranked(holding("a", 1, 2, 3), holding("b", 4, form="mp3"), holding("c", 4))

    assert deliveries(compose(LISTS, found))[-1] == "c4"


def test_parts_that_lack_a_track_are_no_offer() -> None:
    found = ranked(holding("a", 1, 2), holding("b", 3))

    assert compose(LISTS, found) is None
    assert missing_tracks(TRACKS, found, ()) == [TRACKS[3]]


def test_half_an_album_is_an_offer_only_where_that_is_welcome() -> None:
    assert deliveries(compose(LISTS, ranked(holding("a", 1, 2)), partial=True)) == ["a1", "a2"]
    assert compose(LISTS, ranked(holding("a", 1)), partial=True) is None


def test_a_rejected_file_makes_its_folder_a_part() -> None:
    found = ranked(holding("a", 1, 2, 3, 4), holding("b", 2, 3))
    bad = {("a", holding("a", 3).files[0].path)}

    assert deliveries(compose(LISTS, found, rejected=bad)) == ["a1", "a2", "b3", "a4"]


def test_what_is_kept_is_not_asked_for_again() -> None:
    kept = kept_of(ranked(holding("a", 1, 2, 3, 4)), 1, 2)

    offer = compose(LISTS, ranked(holding("b", 1, 2, 3, 4)), kept=kept)

    assert offer is not None
    assert deliveries(offer) == ["a1", "a2", "b3", "b4"]
    assert [piece.size for piece in offer.pieces] == [1000, 1000, 0, 0]
    assert offer.peers == ("b", "a")


def test_what_is_kept_of_one_edition_is_not_completed_by_another() -> None:
    lists = (TRACKS, TRACKS[:3])
    kept = replace(kept_of(ranked(holding("a", 1, 2, 3, 4)), 1), edition=1, positions=((1, 1), (1, 2), (1, 3)))

    offer = compose(lists, ranked(holding("b", 1, 2, 3, 4)), kept=kept)

    assert deliveries(offer) == ["b1", "b2", "b3", "b4"]


def test_places_name_the_attempt_of_each_piece() -> None:
    kept = kept_of(ranked(holding("a", 1, 2, 3, 4)), 1)
    offer = compose(LISTS, ranked(holding("b", 2, 3, 4)), kept=kept)

    assert offer is not None
    assert [piece.place for piece in offer.placed(2).pieces] == ["1/01.flac", "2/02.flac", "2/03.flac", "2/04.flac"]


def test_an_offer_survives_json() -> None:
    offer = compose(LISTS, ranked(holding("a", 1, 2, 3, 4)))

    assert offer is not None
    assert Offer.from_json(offer.placed(1).to_json()) == offer.placed(1)


@given(
    st.lists(st.sets(st.integers(1, 4), min_size=1), min_size=1, max_size=6),
    st.sets(st.tuples(st.integers(0, 5), st.integers(1, 4))),
)
def test_an_offer_has_every_track_once_and_nothing_rejected(
    holdings: list[set[int]], bad: set[tuple[int, int]]
) -> None:
    found = ranked(*(holding(f"p{at}", *sorted(numbers)) for at, numbers in enumerate(holdings)))
    rejected = {(f"p{at}", holding("x", number).files[0].path) for at, number in bad}
    offered = {number for at, numbers in enumerate(holdings) for number in numbers if (at, number) not in bad}

    offer = compose(LISTS, found, rejected=rejected)

    assert (offer is not None) == (offered == {1, 2, 3, 4})
    if offer is not None:
        assert [piece.pick.track for piece in offer.pieces] == list(TRACKS)
        assert not {(piece.peer, piece.pick.file.path) for piece in offer.pieces} & rejected


def kept_of(found: list[RankedCandidate], *numbers: int) -> Offer:
    """These tracks of an offer, as if they had arrived in the first attempt."""
    offer = compose(LISTS, found)
    assert offer is not None
    arrived = offer.placed(1).arrived([1000] * 4)
    return arrived.keeping({(1, number): TRACKS[number - 1] for number in numbers})
