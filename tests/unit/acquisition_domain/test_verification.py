from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.candidates import RemoteFile
from services.acquisition.domain.matching import Pick
from services.acquisition.domain.verification import (
    AudioFacts,
    Delivery,
    Tags,
    failure_of,
    findings,
    named,
)

TRACKS = (
    Track(disc=1, number=1, title="Gilded Lanterns", duration=timedelta(seconds=200)),
    Track(disc=1, number=2, title="Crooked Rivers", duration=timedelta(seconds=180)),
)
LISTED = Album(artist="The Amber Harbours", title="Counting Lanterns", tracks=TRACKS)
UNLISTED = replace(LISTED, tracks=())


def delivery(track: Track, *, form: str = "flac", **facts: Any) -> Delivery:
    name = f"{track.number:02} - {track.title}.{form}"
    tags = Tags(artist=LISTED.artist, album=LISTED.title, title=track.title, track=track.number, disc=1, year=1980)
    found = AudioFacts(
        path=Path("staging") / name,
        size=1000,
        sha256=f"hash of {track.title}",
        container="flac",
        decoded=True,
        duration=track.duration,
        declared_duration=track.duration,
        tags=tags,
    )
    remote = RemoteFile(path=f"@@abc\\{name}", size=1000, duration=track.duration)
    return Delivery(pick=Pick(track=track, file=remote), transferred=1000, facts=replace(found, **facts))


def unlisted(one: Delivery) -> Delivery:
    return replace(one, pick=replace(one.pick, track=replace(one.pick.track, title="", duration=None)))


def reasons(album: Album, *deliveries: Delivery) -> list[str]:
    return [finding.reason for finding in findings(album, deliveries)]


GOOD = delivery(TRACKS[0])
OTHER = delivery(TRACKS[1])


def test_the_album_as_listed_is_verified() -> None:
    verified = named(LISTED, [GOOD, OTHER])

    assert [track.title for track in verified.tracks] == ["Gilded Lanterns", "Crooked Rivers"]


def test_without_a_list_titles_come_from_the_tags() -> None:
    verified = named(UNLISTED, [unlisted(GOOD), unlisted(OTHER)])

    assert [track.title for track in verified.tracks] == ["Gilded Lanterns", "Crooked Rivers"]


def test_the_year_that_all_tags_agree_on_names_the_folder() -> None:
    assert named(LISTED, [GOOD, OTHER]).year == 1980


def test_the_year_of_the_request_wins() -> None:
    assert named(replace(LISTED, year=1979), [GOOD, OTHER]).year == 1979


def test_years_that_differ_name_no_year() -> None:
    later = replace(OTHER, facts=replace(OTHER.facts, tags=replace(OTHER.facts.tags, year=1999)))

    assert named(LISTED, [GOOD, later]).year is None


@pytest.mark.parametrize("sizes", [(999, 1000, 1000), (1000, 999, 1000), (1000, 1000, 999)])
def test_one_byte_too_few_anywhere_is_refused(sizes: tuple[int, int, int]) -> None:
    advertised, announced, arrived = sizes
    pick = replace(GOOD.pick, file=replace(GOOD.pick.file, size=advertised))
    short = Delivery(pick=pick, transferred=announced, facts=replace(GOOD.facts, size=arrived))

    assert reasons(LISTED, short, OTHER) == ["SIZE_MISMATCH"]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"decoded": False, "error": "bad frame"}, "NOT_DECODABLE"),
        ({"duration": None}, "NOT_DECODABLE"),
        ({"duration": timedelta(seconds=100), "decoded": False}, "TRUNCATED"),
        ({"container": "mp3"}, "WRONG_CONTAINER"),
        ({"duration": timedelta(seconds=230), "declared_duration": None}, "WRONG_DURATION"),
        ({"duration": timedelta(seconds=206.1)}, "WRONG_DURATION"),
        ({"tags": Tags(artist="The Idle Signals")}, "WRONG_TAGS"),
        ({"tags": Tags(album="Crossing Rivers")}, "WRONG_TAGS"),
        ({"tags": Tags(title="Hollow Pendulums")}, "WRONG_TAGS"),
        ({"tags": Tags(title="Gilded Lanterns (Live)")}, "WRONG_TAGS"),
        ({"tags": Tags(track=2)}, "WRONG_TAGS"),
        ({"tags": Tags(track=1, disc=2)}, "WRONG_TAGS"),
    ],
)
def test_a_broken_rule_is_named(facts: dict[str, Any], reason: str) -> None:
    assert reasons(LISTED, delivery(TRACKS[0], **facts), OTHER) == [reason]


@pytest.mark.parametrize(
    "facts",
    [
        {"duration": timedelta(seconds=205), "declared_duration": None},
        {"tags": Tags()},
        {"tags": Tags(artist="Amber Harbours feat. Somebody", title="Gilded lanterns (feat. Somebody)")},
        {"tags": Tags(artist="Somebody", album_artist="The Amber Harbours")},
        {"tags": Tags(album="Counting Lanterns (Deluxe Edition)")},
        {"tags": Tags(track=1)},
    ],
)
def test_what_editors_of_tags_do_is_allowed(facts: dict[str, Any]) -> None:
    assert reasons(LISTED, delivery(TRACKS[0], **facts), OTHER) == []


def test_an_album_that_counts_through_its_discs_is_allowed() -> None:
    second = replace(TRACKS[1], disc=2, number=1)
    album = replace(LISTED, tracks=(TRACKS[0], second))
    counted = delivery(second, tags=Tags(track=2, disc=2))

    assert reasons(album, GOOD, counted) == []


def test_without_a_list_a_file_named_as_another_track_is_refused() -> None:
    renamed = unlisted(delivery(TRACKS[0], tags=replace(GOOD.facts.tags, title="Hollow Pendulums")))

    assert reasons(UNLISTED, renamed, unlisted(OTHER)) == ["WRONG_TAGS"]


@pytest.mark.parametrize("tag", ["artist", "album", "title", "track"])
def test_without_a_list_a_file_that_does_not_say_what_it_is_is_refused(tag: str) -> None:
    silent = unlisted(delivery(TRACKS[0], tags=replace(GOOD.facts.tags, **{tag: None})))

    assert reasons(UNLISTED, silent, unlisted(OTHER)) == ["WRONG_TAGS"]


def test_without_a_list_the_advertised_duration_counts() -> None:
    longer = unlisted(delivery(TRACKS[0], duration=timedelta(seconds=300)))

    assert reasons(UNLISTED, longer, unlisted(OTHER)) == ["WRONG_DURATION"]


def test_a_track_that_did_not_arrive_is_named() -> None:
    (finding,) = findings(LISTED, [GOOD])

    assert (finding.reason, finding.file) == ("MISSING_TRACK", "1-02 Crooked Rivers")


def test_nothing_at_all_is_not_an_album() -> None:
    assert reasons(UNLISTED) == ["MISSING_TRACK"]


def test_the_same_content_under_two_names_is_refused() -> None:
    copy = replace(OTHER, facts=replace(OTHER.facts, sha256=GOOD.facts.sha256))

    assert reasons(LISTED, GOOD, copy) == ["DUPLICATE_CONTENT"]


def test_the_failure_names_the_file_and_what_to_do() -> None:
    broken = delivery(TRACKS[0], decoded=False, error="bad frame")

    failure = failure_of(findings(LISTED, [broken]))

    assert failure is not None
    assert failure.reason == "NOT_DECODABLE"
    assert failure.message.startswith("01 - Gilded Lanterns.flac: cannot be decoded")
    assert failure.message.endswith("another candidate is needed. (1 more)")


LOSSY = delivery(TRACKS[0], form="mp3", container="mp3", codec="mp3float", bitrate=190)


def advertised(one: Delivery, **attributes: Any) -> Delivery:
    return replace(one, pick=replace(one.pick, file=replace(one.pick.file, **attributes)))


@pytest.mark.parametrize(
    "lie",
    [
        delivery(TRACKS[0], form="wav", container="wav", codec="mp3float"),
        delivery(TRACKS[0], form="flac", codec="vorbis"),
        advertised(delivery(TRACKS[0], codec="flac", sample_rate=44_100), sample_rate=96_000),
        advertised(delivery(TRACKS[0], codec="flac", bit_depth=16), bit_depth=24),
        advertised(LOSSY, bitrate=320),
    ],
)
def test_quality_that_was_only_claimed_is_found_out(lie: Delivery) -> None:
    assert reasons(LISTED, lie, OTHER) == ["FALSE_QUALITY"]


@pytest.mark.parametrize(
    "honest",
    [
        advertised(
            delivery(TRACKS[0], codec="flac", sample_rate=96_000, bit_depth=24), sample_rate=44_100, bit_depth=16
        ),
        delivery(TRACKS[0], form="m4a", container="mp4", codec="alac", bitrate=90),
        delivery(TRACKS[0], form="wav", container="wav", codec="pcm_s24le"),
        advertised(LOSSY, bitrate=200),
    ],
)
def test_quality_that_is_there_passes(honest: Delivery) -> None:
    assert reasons(LISTED, honest, OTHER) == []


def test_a_bit_rate_below_the_lowest_is_refused() -> None:
    assert [finding.reason for finding in findings(LISTED, [LOSSY, OTHER], minimum_bitrate=256)] == ["LOW_BITRATE"]
    assert findings(LISTED, [LOSSY, OTHER], minimum_bitrate=192) == []


def test_a_finding_names_its_track() -> None:
    (finding,) = findings(LISTED, [GOOD])

    assert (finding.reason, finding.position) == ("MISSING_TRACK", (1, 2))
