"""MusicBrainz' JSON, read: whatever it is, there is a reading of it or a plain refusal."""

from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.musicbrainz import bodies
from deploy.demo.musicbrainz.catalogue import Group, Medium, Recording, Release, mbid
from libs.outbound.client import UNREADABLE
from services.acquisition.domain.album import Album
from services.acquisition.knowledge import release_groups, releases

RELEASE = Release(mbid=mbid("one"), title="Idle", media=(Medium(tracks=(Recording(title="A", milliseconds=1),) * 3),))
GROUP = Group(mbid=mbid("group"), artist="The Quarries", title="Idle", releases=(RELEASE,), secondary=("Live",))
WISH = Album(artist=GROUP.artist, title=GROUP.title)

JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)


def leaves(document: Any) -> list[tuple[Any, Any]]:
    """Every place in a document where a value stands."""
    items = list(document.items() if isinstance(document, dict) else enumerate(document))
    below = [place for _, value in items if isinstance(value, dict | list) for place in leaves(value)]
    return [(document, key) for key, _ in items] + below


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (lambda: _page([bodies.release(RELEASE, GROUP)]), releases.read_page),
        (lambda: bodies.release(RELEASE, GROUP, with_group=True), releases.read_with_group),
        (lambda: bodies.group(GROUP), release_groups.read),
        (
            lambda: {"release-groups": [bodies.match(GROUP, 100)]},
            lambda page: release_groups.read_matching(page, WISH),
        ),
    ],
    ids=["releases", "release", "group", "search"],
)
@given(data=st.data())
def test_a_document_with_anything_in_any_place_is_read_or_refused(make: Any, read: Any, data: st.DataObject) -> None:
    document = make()
    assert read(document) is not None

    container, key = data.draw(st.sampled_from(leaves(document)), label="place")
    container[key] = data.draw(st.one_of(JSON, st.lists(JSON, max_size=2)), label="value")

    kept = None
    with suppress(*UNREADABLE):
        kept = read(document)
    orjson.dumps(kept)


def test_a_release_with_more_tracks_than_an_album_has_is_left_out() -> None:
    box = Release(mbid=mbid("box"), title="All", media=(Medium(tracks=(Recording(title="A"),) * 501),))

    assert releases.read(bodies.release(box, GROUP)) is None


def _page(listed: list[Any]) -> dict[str, Any]:
    return {"release-count": 1, "release-offset": 0, "releases": listed}
