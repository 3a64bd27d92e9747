import io

import av
import pytest
from mutagen.flac import FLAC

from deploy.demo.albums import Album, album_files, album_tags, invent_albums, padded

Albums = tuple[Album, ...]


def test_the_same_seed_invents_the_same_albums() -> None:
    assert invent_albums(3) == invent_albums(4)[:3]


def test_files_decode_to_the_length_of_their_track(albums: Albums) -> None:
    for track, file in zip(albums[0].tracks, album_files(albums[0]), strict=True):
        with av.open(io.BytesIO(file), "r") as container:
            samples = sum(frame.samples for frame in container.decode(audio=0))
        assert samples / 44_100 == pytest.approx(track.seconds, abs=0.01)


def test_files_carry_their_tags(albums: Albums) -> None:
    for track, file in zip(albums[0].tracks, album_files(albums[0]), strict=True):
        tags = {key.upper(): value for key, (value,) in FLAC(io.BytesIO(file)).items()}
        assert tags == album_tags(albums[0], track)


def test_two_tracks_have_the_same_size_and_the_others_their_own(albums: Albums) -> None:
    sizes = [len(file) for file in album_files(albums[0])]

    assert sizes[1] == sizes[2]
    assert len(set(sizes)) == 4


def test_files_of_the_same_size_hold_different_sound(albums: Albums) -> None:
    signatures = {FLAC(io.BytesIO(file)).info.md5_signature for file in album_files(albums[0])}

    assert len(signatures) == 5


def test_padding_makes_a_file_as_long_as_asked(albums: Albums) -> None:
    file = album_files(albums[0])[0]

    grown = padded(file, len(file) + 5_000)

    assert len(grown) == len(file) + 5_000
    assert FLAC(io.BytesIO(grown)).info.md5_signature == FLAC(io.BytesIO(file)).info.md5_signature


def test_padding_cannot_make_a_file_smaller(albums: Albums) -> None:
    with pytest.raises(ValueError, match="more than 10"):
        padded(album_files(albums[0])[0], 10)
