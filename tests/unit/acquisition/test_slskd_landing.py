from pathlib import Path

from services.acquisition.slskd.landing import Landing


def test_a_file_of_ours_that_is_not_seen_is_not_taken_for_one_of_the_same_name(tmp_path: Path) -> None:
    (tmp_path / "01.flac").write_bytes(b"mine")

    assert Landing(tmp_path).translate("/downloads/lockgroove/acq-1/1/01/01.flac", 4) is None


def test_a_file_in_a_folder_of_slskds_choice_is_found_whatever_the_folder_above_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "Counting Lanterns"
    folder.mkdir()
    (folder / "01.flac").write_bytes(b"ours")

    assert Landing(tmp_path).translate(r"D:\slskd\downloads\Counting Lanterns\01.flac", 4) == folder / "01.flac"


def test_a_downloads_folder_that_is_set_too_high_up_does_no_harm(tmp_path: Path) -> None:
    folder = tmp_path / "downloads" / "lockgroove" / "acq-1" / "1" / "01"
    folder.mkdir(parents=True)
    (folder / "01.flac").write_bytes(b"ours")

    found = Landing(tmp_path).translate("/downloads/lockgroove/acq-1/1/01/01.flac", 4)

    assert found == folder / "01.flac"
