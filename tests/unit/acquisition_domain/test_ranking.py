import time
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.providers import Taste
from services.acquisition.domain.ranking import MOST_FOLDERS, RankedCandidate, is_taken, rank, rank_all
from services.acquisition.domain.reputation import PeerRecord

TITLES = ("Gilded Lanterns", "Crooked Rivers", "Hollow Pendulums")
LISTED = Album(
    artist="The Amber Harbours",
    title="Counting Lanterns",
    year=1980,
    tracks=tuple(
        Track(disc=1, number=number, title=title, duration=timedelta(seconds=200 + number))
        for number, title in enumerate(TITLES, start=1)
    ),
)
UNLISTED = replace(LISTED, tracks=())
WORTH = {"title": 20.0, "artist": 20.0, "duration": 15.0, "quality": 20.0, "coverage": 10.0}
FOLDER = r"@@abc\Music\The Amber Harbours\Counting Lanterns (1980)"


def file(path: str, *, size: int = 20_000_000, seconds: float | None = None, bitrate: int | None = None) -> RemoteFile:
    return RemoteFile(
        path=path, size=size, duration=None if seconds is None else timedelta(seconds=seconds), bitrate=bitrate
    )


def offer(
    *names: str, peer: str = "peer", folder: str = FOLDER, slot: bool = True, queue: int = 0, speed: int = 500_000
) -> Candidate:
    files = tuple(file(f"{folder}\\{name}") for name in names)
    return Candidate(peer=peer, folder=folder, files=files, free_slot=slot, queue_length=queue, speed=speed)


def whole(
    peer: str = "peer", *, folder: str = FOLDER, form: str = "flac", titles: tuple[str, ...] = TITLES
) -> Candidate:
    names = [f"{number:02} - {title}.{form}" for number, title in enumerate(titles, start=1)]
    return offer(*names, peer=peer, folder=folder)


def peers(ranked: list[RankedCandidate]) -> list[str]:
    return [one.candidate.peer for one in ranked]


@pytest.mark.parametrize("album", [LISTED, UNLISTED])
def test_a_whole_folder_of_the_album_is_taken(album: Album) -> None:
    (found,) = rank(album, [whole()])

    assert [pick.track.number for pick in found.selection] == [1, 2, 3]
    assert [pick.file.path for pick in found.selection] == [file.path for file in whole().files]


def test_the_parts_explain_the_score() -> None:
    (found,) = rank(LISTED, [whole()])

    assert found.score == pytest.approx(sum(found.parts.values()))
    assert 60 < found.score <= 100


@pytest.mark.parametrize(
    "folder",
    [
        r"@@abc\Music\The Amber Harbours\Crossing Rivers (1981)",
        r"@@abc\Music\The Idle Signals\Counting Lanterns (1980)",
        r"@@abc\Music\The Amber Harbours\Counting Lanterns Live",
        r"@@abc\Music\The Amber Harbours\Counting Lanterns (Karaoke)",
    ],
)
@pytest.mark.parametrize("album", [LISTED, UNLISTED])
def test_a_folder_of_another_album_is_refused(album: Album, folder: str) -> None:
    assert rank(album, [whole(folder=folder)]) == []


@pytest.mark.parametrize(
    "folder",
    [
        r"@@abc\Music\Amber Harbours, The\1980 - Counting Lanterns [FLAC]",
        r"@@abc\THE AMBER HARBOURS - COUNTING LANTERNS (REMASTERED)",
        "music/the amber harbours/counting lanterns/FLAC",
    ],
)
def test_spellings_of_the_album_are_taken(folder: str) -> None:
    assert len(rank(LISTED, [whole(folder=folder)])) == 1


def test_a_folder_named_by_the_artist_alone_is_not_the_album_of_that_name() -> None:
    album = Album(artist="Lantern", title="Lantern")

    assert rank(album, [whole(folder=r"@@abc\Lantern\Crossing Rivers")]) == []


def test_a_listed_track_that_is_missing_refuses_the_folder() -> None:
    assert rank(LISTED, [whole(titles=TITLES[:2])]) == []


def test_without_a_list_a_hole_in_the_numbers_refuses_the_folder() -> None:
    assert rank(UNLISTED, [offer("01 A.flac", "03 C.flac")]) == []


def test_without_a_list_a_number_that_comes_twice_refuses_the_folder() -> None:
    assert rank(UNLISTED, [offer("01 A.flac", "01 B.flac", "02 C.flac")]) == []


def test_without_a_list_the_count_that_most_peers_have_is_preferred() -> None:
    short, one, two = whole("short", titles=TITLES[:2]), whole("one"), whole("two")

    assert peers(rank(UNLISTED, [short, one, two])) == ["one", "two", "short"]


def lasting(offered: Candidate, seconds: float) -> Candidate:
    files = tuple(replace(one, duration=timedelta(seconds=seconds)) for one in offered.files)
    return replace(offered, files=files)


def test_without_a_list_an_offer_that_contradicts_most_peers_durations_is_refused() -> None:
    agreeing = [lasting(whole(peer), 200 + at) for at, peer in enumerate(("one", "two", "three"))]

    assert set(peers(rank(UNLISTED, [*agreeing, lasting(whole("other"), 260)]))) == {"one", "two", "three"}


def test_two_peers_that_disagree_on_durations_are_both_taken() -> None:
    assert len(rank(UNLISTED, [lasting(whole("one"), 200), lasting(whole("other"), 260)])) == 2


def test_the_durations_that_most_peers_tell_are_expected() -> None:
    agreeing = [lasting(whole(peer), 200) for peer in ("one", "two", "three")]

    assert {pick.track.duration for pick in rank(UNLISTED, agreeing)[0].selection} == {timedelta(seconds=200)}


def test_a_wrong_duration_refuses_the_file() -> None:
    late = replace(whole(), files=tuple(replace(one, duration=timedelta(seconds=400)) for one in whole().files))

    assert rank(LISTED, [late]) == []


def test_a_live_recording_is_not_the_studio_track() -> None:
    assert rank(LISTED, [whole(titles=("Gilded Lanterns (Live)", *TITLES[1:]))]) == []


def test_a_title_inside_a_longer_one_does_not_take_its_file() -> None:
    album = replace(LISTED, tracks=(Track(disc=1, number=1, title="Lanterns"), Track(disc=1, number=2, title="Rivers")))
    folder = offer("05 Little Thing Called Rivers.flac", "01 Lanterns.flac", "02 Rivers.flac")

    (found,) = rank(album, [folder])

    assert [pick.file.path.rpartition("\\")[2] for pick in found.selection] == ["01 Lanterns.flac", "02 Rivers.flac"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("1979", "01 - 1979.flac"),
        ("99 Balloons", "01. 99 Balloons.flac"),
        ("7 Rings", "01 7 Rings.flac"),
        ("...", "01 - ....flac"),
        ("Lanterns", "01 - The Amber Harbours - Lanterns.flac"),
        ("Don't Stop", "01 Dont Stop.flac"),
        ("Café", "01 Cafe.flac"),
    ],
)
def test_titles_are_found_in_the_names_that_peers_give_them(title: str, name: str) -> None:
    album = replace(LISTED, tracks=(Track(disc=1, number=1, title=title),))

    assert len(rank(album, [offer(name)])) == 1


@pytest.mark.parametrize(
    ("title", "folder"), [("21", "21"), ("1984", "1984 (1984)"), ("1", r"1\FLAC"), ("25", "25 [320]")]
)
def test_albums_named_by_a_number_are_found(title: str, folder: str) -> None:
    album = Album(artist="Amber", title=title)

    assert len(rank(album, [offer("01 A.flac", "02 B.flac", folder=rf"@@abc\Amber\{folder}")])) == 1


def test_one_file_is_never_two_tracks() -> None:
    album = replace(LISTED, tracks=(Track(disc=1, number=1, title="Intro"), Track(disc=1, number=2, title="Intro")))

    assert rank(album, [offer("01 Intro.flac")]) == []


def test_discs_are_joined_to_one_album() -> None:
    one = offer("01 A.flac", "02 B.flac", folder=FOLDER + r"\CD1")
    two = offer("01 C.flac", folder=FOLDER + r"\CD2")

    (found,) = rank(UNLISTED, [two, one])

    assert [(pick.track.disc, pick.track.number) for pick in found.selection] == [(1, 1), (1, 2), (2, 1)]
    assert found.candidate.folder == FOLDER


def test_discs_of_two_peers_are_not_joined() -> None:
    one = offer("01 A.flac", peer="one", folder=FOLDER + r"\CD1")
    two = offer("01 C.flac", peer="two", folder=FOLDER + r"\CD2")

    assert peers(rank(UNLISTED, [two, one])) == ["one"]


@pytest.mark.parametrize(
    "names",
    [
        ("1-01 A.flac", "1-02 B.flac", "2-01 C.flac"),
        ("101 A.flac", "102 B.flac", "201 C.flac"),
        ("01. A.flac", "02. 99 Balloons.flac", "03. C.flac"),
        ("Amber - 01 - A.flac", "Amber - 02 - B.flac", "Amber - 03 - C.flac"),
    ],
)
def test_every_usual_way_of_numbering_is_read(names: tuple[str, ...]) -> None:
    assert len(rank(UNLISTED, [offer(*names)])[0].selection) == 3


def test_of_two_formats_in_one_folder_the_preferred_one_is_taken_whole() -> None:
    both = replace(whole(), files=whole(form="mp3").files + whole().files)

    (found,) = rank(LISTED, [both])

    assert {pick.file.path[-4:] for pick in found.selection} == {"flac"}


def test_formats_are_not_mixed_to_make_an_album_whole() -> None:
    mixed = replace(whole(), files=whole(form="mp3").files[:1] + whole().files[1:])

    assert rank(LISTED, [mixed]) == []


@pytest.mark.parametrize(
    "name", ["01 - Gilded Lanterns.exe", "01 - Gilded Lanterns.flac.lnk", "._01 - Gilded Lanterns.flac"]
)
def test_what_is_not_audio_is_never_fetched(name: str) -> None:
    assert rank(LISTED, [offer(name, "02 - Crooked Rivers.flac", "03 - Hollow Pendulums.flac")]) == []


@pytest.mark.parametrize("size", [0, -1, 3 << 30])
def test_impossible_sizes_are_refused(size: int) -> None:
    sized = replace(whole(), files=tuple(replace(one, size=size) for one in whole().files))

    assert rank(LISTED, [sized]) == []


def test_surplus_files_count_against_a_folder() -> None:
    more = replace(whole("more"), files=(*whole("more").files, file(FOLDER + r"\04 - Bonus.flac")))

    assert peers(rank(LISTED, [more, whole("exact")])) == ["exact", "more"]


def test_a_free_slot_and_a_short_queue_order_equal_folders() -> None:
    busy = replace(whole("busy"), free_slot=False, queue_length=40, speed=1000)

    assert peers(rank(LISTED, [busy, whole("free")])) == ["free", "busy"]


HEALTH = st.builds(
    lambda slot, queue, speed, successes: {"slot": slot, "queue": queue, "speed": speed, "successes": successes},
    st.booleans(),
    st.integers(-(2**31), 2**32),
    st.integers(-(2**31), 2**32),
    st.integers(0, 10**6),
)
DOUBTFUL = r"@@abc\Amber Harbours\Counting Lanterns Many Other Songs"


def healthy(offered: Candidate, health: dict[str, int]) -> tuple[Candidate, PeerRecord]:
    """The offer from a peer of that health."""
    record = PeerRecord(peer=offered.peer, successes=health["successes"])
    free = bool(health["slot"])
    return replace(offered, free_slot=free, queue_length=health["queue"], speed=health["speed"]), record


def ranked_with(*pairs: tuple[Candidate, PeerRecord], album: Album = LISTED) -> list[RankedCandidate]:
    return rank(album, [one for one, _ in pairs], records={record.peer: record for _, record in pairs})


@given(health=HEALTH)
def test_no_health_lifts_an_unsuitable_folder(health: dict[str, int]) -> None:
    wrong = healthy(offer("01 Other.flac", folder=r"@@abc\Somebody\Else"), health)

    assert ranked_with(wrong) == []


@given(sure=HEALTH, doubtful=HEALTH)
def test_no_health_lifts_a_doubtful_folder_over_a_sure_one(sure: dict[str, int], doubtful: dict[str, int]) -> None:
    offered = (healthy(whole("doubtful", folder=DOUBTFUL), doubtful), healthy(whole("sure"), sure))

    found = ranked_with(*offered, album=UNLISTED)

    assert [(one.candidate.peer, one.sure) for one in found] == [("sure", True), ("doubtful", False)]


@given(parts=st.fixed_dictionaries({name: st.floats(0, most) for name, most in WORTH.items()}), health=HEALTH)
def test_the_floor_asks_for_worth_and_not_for_health(parts: dict[str, float], health: dict[str, int]) -> None:
    _, record = healthy(whole(), health)
    best = {"slot": 6.0, "queue": 5.0, "speed": 3.0, "history": 1.0}

    assert is_taken(parts) == is_taken(parts | best) == is_taken(parts | {"history": -record.penalty()})
    assert not is_taken(parts) or sum(parts.values()) + 15 >= 60


def test_a_peer_that_failed_comes_after_one_that_delivered() -> None:
    failed = (whole("a"), PeerRecord(peer="a", failures=1))
    delivered = (whole("b"), PeerRecord(peer="b", successes=1))

    assert peers(ranked_with(failed, (whole("c"), PeerRecord(peer="c")), delivered)) == ["b", "c", "a"]


def test_only_the_formats_that_are_wanted_are_taken_in_their_order() -> None:
    folders = [whole("flac"), whole("mp3", form="mp3"), whole("ogg", form="ogg")]

    assert peers(rank(LISTED, folders, taste=Taste(formats=("mp3", "flac")))) == ["mp3", "flac"]


def stated(offered: Candidate, bitrate: int | None, *, size: int = 8_000_000) -> Candidate:
    """The offer with files of 200 s at a bit rate."""
    files = (replace(one, bitrate=bitrate, size=size, duration=timedelta(seconds=202)) for one in offered.files)
    return replace(offered, files=tuple(files))


@pytest.mark.parametrize(("bitrate", "size"), [(96, 8_000_000), (None, 1_000_000), (320, 1_000_000)])
def test_a_bit_rate_that_is_too_low_refuses_a_lossy_file(bitrate: int | None, size: int) -> None:
    low = stated(whole(form="mp3"), bitrate, size=size)

    assert rank(LISTED, [low], taste=Taste(minimum_bitrate=128)) == []
    assert len(rank(LISTED, [stated(whole(form="mp3"), 128)], taste=Taste(minimum_bitrate=128))) == 1


def test_a_stated_bit_rate_comes_before_none() -> None:
    silent = replace(whole("silent", form="mp3"), speed=10**9)

    assert peers(rank(LISTED, [silent, stated(whole("stated", form="mp3"), 320)]))[0] == "stated"


BONUS = Track(disc=1, number=4, title="Foggy Orchards", duration=timedelta(seconds=204))


def test_a_folder_counts_as_the_edition_that_it_holds() -> None:
    deluxe = whole("deluxe", titles=(*TITLES, BONUS.title))
    lists = (LISTED.tracks, (*LISTED.tracks, BONUS))

    found = rank(UNLISTED, [whole("plain"), deluxe], lists=lists)

    assert {one.candidate.peer: one.edition for one in found} == {"plain": 0, "deluxe": 1}


def test_the_standard_edition_wins_a_tie() -> None:
    lists = (LISTED.tracks, (*LISTED.tracks, BONUS))
    deluxe, plain = whole("a", titles=(*TITLES, BONUS.title)), whole("b")

    found = rank(UNLISTED, [deluxe, plain], lists=lists)

    assert (found[0].edition, found[0].score) == (0, found[1].score)


def test_a_part_of_the_album_comes_after_the_whole() -> None:
    found = rank_all(LISTED, [whole("part", titles=TITLES[:2]), whole("whole")])

    assert [(one.candidate.peer, one.whole) for one in found] == [("whole", True), ("part", False)]


def test_thousands_of_answers_cost_little_more_than_hundreds() -> None:
    def seconds(count: int) -> float:
        offered = [whole(f"peer{at}", folder=rf"@@{at}\The Amber Harbours\Counting Lanterns") for at in range(count)]
        begun = time.thread_time()
        assert rank(LISTED, offered)
        return time.thread_time() - begun

    assert min(seconds(8000) for _ in range(2)) < 8 * min(seconds(MOST_FOLDERS) for _ in range(3))


def test_one_peer_with_thousands_of_folders_crowds_nobody_out() -> None:
    crowd = [whole("a", folder=rf"@@{at}\The Amber Harbours\Counting Lanterns") for at in range(2000)]

    assert "z" in peers(rank(LISTED, [*crowd, replace(whole("z"), free_slot=False)]))


@pytest.mark.parametrize("text", ["\ud800", "a\0b"])
def test_what_no_database_can_hold_is_not_taken(text: str) -> None:
    named = replace(whole(), peer=text)
    inside = whole(folder=FOLDER + "\\" + text)

    assert rank(LISTED, [named, inside]) == []


@given(size=st.integers(-(2**70), 2**70), seconds=st.floats(-1e9, 1e9), bitrate=st.integers(-(2**40), 2**40))
def test_no_number_of_a_peer_breaks_the_ranking(size: int, seconds: float, bitrate: int) -> None:
    said = replace(file("x", size=size, seconds=seconds, bitrate=bitrate), path=whole().files[0].path)
    hostile = replace(whole("hostile", form="mp3"), files=(said, *whole().files[1:]))

    assert rank(LISTED, [hostile, whole("good")])[-1].score >= 0


@given(paths=st.lists(st.text(max_size=80), max_size=8), folder=st.text(max_size=80))
def test_no_text_of_a_peer_breaks_the_ranking(paths: list[str], folder: str) -> None:
    hostile = Candidate(peer="peer", folder=folder, files=tuple(file(f"{folder}\\{path}.flac") for path in paths))

    assert rank(LISTED, [hostile, whole("good")])[0].candidate.peer == "good"


def test_a_ranked_offer_survives_json() -> None:
    (found,) = rank(LISTED, [whole()])

    assert RankedCandidate.from_json(found.to_json()) == found
