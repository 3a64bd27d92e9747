from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.acquisition.domain.album import Album, Track
from services.acquisition.domain.attempt import Failure
from services.acquisition.domain.candidates import Candidate, RemoteFile
from services.acquisition.domain.knowledge import Edition, Knowledge
from services.acquisition.domain.offers import compose
from services.acquisition.domain.publishing import Awaited
from services.acquisition.domain.ranking import rank_all
from services.acquisition.domain.soulseek_plan import Artwork, SoulseekPlan
from services.acquisition.domain.verification import VerifiedAlbum

TRACKS = (Track(disc=1, number=1, title="Gilded Lanterns"), Track(disc=1, number=2, title="Crooked Rivers"))
DELUXE = (*TRACKS, Track(disc=1, number=3, title="Idle Signals"))
ALBUM = Album(artist="Amber Harbour", title="Counting Lantern")
KNOWN = Knowledge(
    artist="The Amber Harbours",
    title="Counting Lanterns",
    release_group_mbid="group",
    year=1980,
    editions=(
        Edition(release_mbid="plain", title="Counting Lanterns", tracks=TRACKS),
        Edition(release_mbid="deluxe", title="Counting Lanterns", tracks=DELUXE),
        Edition(release_mbid="plain again", title="Counting Lanterns", tracks=TRACKS),
    ),
)
PLAN = SoulseekPlan().informed(KNOWN)


def test_the_artist_is_asked_for_as_those_spell_it_who_know() -> None:
    assert PLAN.known(ALBUM) == replace(ALBUM, artist=KNOWN.artist, release_group_mbid="group", year=1980)


def test_the_title_is_corrected_only_where_an_id_tells_the_album() -> None:
    assert PLAN.known(replace(ALBUM, release_group_mbid="group")).title == "Counting Lanterns"


def test_a_name_in_another_script_stays_as_it_was_asked_for() -> None:
    plan = SoulseekPlan().informed(replace(KNOWN, artist="琥珀の港"))

    assert plan.known(ALBUM).artist == "Amber Harbour"


def test_an_accent_is_no_other_script() -> None:
    plan = SoulseekPlan().informed(replace(KNOWN, artist="Ámber Harboür"))

    assert plan.known(ALBUM).artist == "Ámber Harboür"


def test_the_lists_are_those_of_editions_that_differ() -> None:
    assert PLAN.wanted_lists(ALBUM) == (TRACKS, DELUXE)
    assert SoulseekPlan().wanted_lists(ALBUM) == ((),)


def test_the_list_of_the_request_is_the_only_one() -> None:
    assert PLAN.wanted_lists(replace(ALBUM, tracks=DELUXE)) == (DELUXE,)


def tried() -> SoulseekPlan:
    """A plan in the middle of its second attempt."""
    folder = r"@@abc\The Amber Harbours\Counting Lanterns"
    names = ["01 Gilded Lanterns.flac", "02 Crooked Rivers.flac", "03 Idle Signals.flac", "cover.jpg"]
    files = tuple(RemoteFile(path=f"{folder}\\{name}", size=1000) for name in names)
    lists = PLAN.wanted_lists(ALBUM)
    album = PLAN.known(replace(ALBUM, title="Counting Lanterns"))
    ranked = rank_all(album, [Candidate(peer="ada", folder=folder, files=files)], lists=lists)
    plan = PLAN.searched(ranked, lists)
    offer = compose(plan.lists, plan.ranked)
    assert offer is not None
    return plan.trying(offer.placed(1))


def test_what_is_kept_follows_its_edition_to_the_lists_of_the_next_search() -> None:
    plan = tried()
    kept = plan.keeping(plan.offer)

    again = kept.searched([], (TRACKS, DELUXE)[::-1])

    assert kept.kept is not None
    assert again.kept is not None
    assert again.tracks(again.kept.edition) == plan.tracks(kept.kept.edition) == DELUXE
    assert kept.searched([], (TRACKS,)).kept is None


def test_the_edition_that_is_held_is_named() -> None:
    plan = tried()

    assert plan.offer is not None
    assert plan.release_mbid(plan.offer.edition) == "deluxe"


def test_a_plan_survives_json() -> None:
    plan = replace(
        tried(),
        kept=tried().offer,
        fault=Failure(reason="TRANSFER_STALLED", message="ada stopped."),
        rejected=(("ada", "a"),),
        refused=(("ada", "b"),),
        verified=VerifiedAlbum(year=1980, tracks=TRACKS),
        digests=("x", "y"),
        artwork=Artwork(place="1/cover", form="jpg", size=3, sha256="z"),
    )

    assert SoulseekPlan.from_json(plan.to_json()) == plan


def test_a_plan_of_a_version_before_is_empty() -> None:
    assert SoulseekPlan.from_json({"offers": [], "announced": [], "searches": 2}) == SoulseekPlan()


NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMPORTING = Awaited(delay=timedelta(seconds=2), sign="0 of 2", patience=timedelta(hours=1))


def test_an_import_that_stands_still_is_looked_at_less_often_and_then_given_up() -> None:
    plan, first = SoulseekPlan().awaiting(IMPORTING, NOW)
    plan = SoulseekPlan.from_json(plan.to_json())
    later = [plan.awaiting(IMPORTING, NOW + timedelta(minutes=minutes))[1] for minutes in (5, 59, 60)]

    assert [first, *later] == [timedelta(seconds=2), timedelta(seconds=30), timedelta(minutes=1), None]


def test_an_import_that_goes_on_is_waited_for() -> None:
    plan, _ = SoulseekPlan().awaiting(IMPORTING, NOW)

    _, delay = plan.awaiting(replace(IMPORTING, sign="1 of 2"), NOW + timedelta(hours=1))

    assert delay == timedelta(seconds=2)


def test_an_outage_takes_nothing_from_the_patience_with_an_import() -> None:
    plan, _ = SoulseekPlan().awaiting(IMPORTING, NOW)
    plan, pause = plan.awaiting(Awaited(delay=timedelta(minutes=1)), NOW + timedelta(days=3))

    _, delay = plan.awaiting(IMPORTING, NOW + timedelta(days=3))

    assert (pause, delay) == (timedelta(minutes=1), timedelta(seconds=2))


def test_a_stranger_cannot_say_what_no_database_can_hold() -> None:
    assert Failure(reason="TRANSFER_REJECTED", message="no\0 \ud800way").message == "no way"
