"""Which releases of an album are the same to a listener, and which one is most likely meant."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.album import Track
from services.acquisition.domain.editions import MOST, compared, same_tracks
from services.acquisition.domain.knowledge import Edition, Knowledge

TITLES = ("Amber Lanterns", "Crossing Rivers", "Idle Signals", "Foggy Harbours", "Hollow Thickets", "Lunar Orchards")


def tracks(*discs: int, suffix: str = "") -> tuple[Track, ...]:
    return tuple(
        Track(disc=disc, number=number + 1, title=f"{TITLES[number]}{suffix}", duration=timedelta(seconds=200 + number))
        for disc, count in enumerate(discs, 1)
        for number in range(count)
    )


def release(name: str, *discs: int, title: str = "Crooked Meridians", **more: object) -> Edition:
    known = {"release_mbid": name, "title": title, "tracks": tracks(*discs or (4,)), "date": "2001"} | more
    return Edition(**known)  # type: ignore[arg-type]


def order(*releases: Edition, wanted: str = "Crooked Meridians") -> list[str]:
    return [edition.release_mbid for edition in compared(releases, wanted=wanted)]


def test_the_plain_album_goes_before_a_deluxe_one_however_common_and_old_that_is() -> None:
    deluxe = [release(f"deluxe{year}", 6, disambiguation="deluxe edition", date=f"199{year}") for year in range(3)]

    assert order(*deluxe, release("plain")) == ["plain", "deluxe0"]


def test_a_wish_for_the_deluxe_album_gets_it_first() -> None:
    plain, deluxe = release("plain"), release("deluxe", 6, title="Crooked Meridians (Deluxe)")

    assert order(plain, deluxe, wanted="Crooked Meridians (Deluxe Edition)") == ["deluxe", "plain"]


def test_official_releases_go_before_bootlegs() -> None:
    bootlegs = [release(f"bootleg{number}", 5, official=False, date="1990") for number in range(3)]

    assert order(*bootlegs, release("official"))[0] == "official"


def test_of_plain_track_lists_the_most_common_goes_first_and_then_the_oldest() -> None:
    rare = release("rare", 3, date="1990")
    common = [release("common1", 4, date="2001"), release("common2", 4, date="2002")]
    late = release("late", 5, date="2010")

    assert order(late, rare, *common) == ["common1", "rare", "late"]


def test_the_same_tracks_spelled_otherwise_are_one_edition_as_old_as_the_oldest() -> None:
    remaster = release(
        "remaster", tracks=tracks(4, suffix=" (Remastered 2011)"), date="2011", disambiguation="remaster"
    )
    (edition,) = compared([remaster, release("first", date="1997-05-21")], wanted="Crooked Meridians")

    assert (edition.release_mbid, edition.date) == ("first", "1997-05-21")


def test_of_two_alike_the_one_that_knows_its_durations_speaks_for_both() -> None:
    silent = tuple(replace(track, duration=None) for track in tracks(4))
    (edition,) = compared([release("a", tracks=silent, date="1990"), release("b")], wanted="Crooked Meridians")

    assert (edition.release_mbid, edition.date) == ("b", "1990")


def test_two_discs_are_not_one() -> None:
    assert not same_tracks(tracks(2, 2), tracks(4))


def test_a_concert_is_not_the_album() -> None:
    assert not same_tracks(tracks(4), tracks(4, suffix=" (live)"))


def test_a_release_without_tracks_tells_nothing() -> None:
    assert order(release("empty", tracks=())) == []


RELEASES = st.lists(
    st.builds(
        release,
        st.integers(0, 30).map(str),
        st.integers(1, 6),
        disambiguation=st.sampled_from(["", "deluxe", "live", "remaster"]),
        official=st.booleans(),
        date=st.sampled_from(["", "1990", "1990-02-01", "2003"]),
    ),
    max_size=10,
    unique_by=lambda edition: edition.release_mbid,
)


@given(releases=RELEASES, chance=st.randoms(use_true_random=False))
def test_the_order_in_which_releases_come_does_not_matter(releases: list[Edition], chance: object) -> None:
    shuffled = list(releases)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert compared(shuffled, wanted="Album") == compared(releases, wanted="Album")


@given(releases=RELEASES)
def test_every_track_list_is_kept_once_as_far_as_there_is_room(releases: list[Edition]) -> None:
    editions = compared(releases, wanted="Album")

    assert len(editions) == min(MOST, len({len(one.tracks) for one in releases}))
    assert {one.release_mbid for one in editions} <= {one.release_mbid for one in releases}
    if any(one.official for one in releases):
        assert editions[0].official


@given(releases=RELEASES)
def test_knowledge_survives_the_way_through_the_plan(releases: list[Edition]) -> None:
    knowledge = Knowledge(artist="A", title="B", release_group_mbid=None, year=1999, editions=tuple(releases))

    assert Knowledge.from_json(knowledge.to_json()) == knowledge
