"""The root key: made once, kept to its owner, refused with a clear word where it cannot be used."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from libs.crypto import RootKeys, UnusableKey, load_root_keys

CONFIGURED = "a-configured-key-of-enough-characters"


def test_the_first_start_makes_a_key_that_only_its_owner_may_read(tmp_path: Path) -> None:
    load_root_keys(tmp_path / "home")

    assert stat.S_IMODE((tmp_path / "home" / "secret.key").stat().st_mode) == 0o600


def test_a_new_data_folder_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    load_root_keys(tmp_path / "home")

    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_later_starts_find_the_same_key(tmp_path: Path) -> None:
    assert load_root_keys(tmp_path) == load_root_keys(tmp_path)


def test_two_homes_have_two_keys(tmp_path: Path) -> None:
    assert load_root_keys(tmp_path / "a") != load_root_keys(tmp_path / "b")


def test_many_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(lambda _: load_root_keys(tmp_path), range(64)))

    assert len(keys) == 1


def test_nothing_is_left_beside_the_key(tmp_path: Path) -> None:
    load_root_keys(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_a_configured_key_comes_first_and_nothing_is_written(tmp_path: Path) -> None:
    assert load_root_keys(tmp_path, CONFIGURED) == RootKeys(current=CONFIGURED.encode())
    assert not list(tmp_path.iterdir())


def test_the_text_of_the_file_may_be_configured_elsewhere(tmp_path: Path) -> None:
    made = load_root_keys(tmp_path)

    assert load_root_keys(tmp_path / "other", (tmp_path / "secret.key").read_text()) == made


def test_an_empty_configured_key_counts_as_none(tmp_path: Path) -> None:
    assert load_root_keys(tmp_path, " ") == load_root_keys(tmp_path)


@pytest.mark.parametrize("key", ["short", "x" * 31, "with spaces " * 5, "ünïcödé" * 8, "two\nlines" * 8])
def test_an_unusable_configured_key_is_refused_by_its_variable(tmp_path: Path, key: str) -> None:
    with pytest.raises(UnusableKey, match="LOCKGROOVE_SECRET_KEY does not hold a key: it takes at least 32"):
        load_root_keys(tmp_path, key)


@pytest.mark.parametrize("content", [b"", b"short\n", b"two\nlines" * 8, b"\xff" * 40])
def test_a_malformed_file_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    path.chmod(0o600)

    with pytest.raises(UnusableKey, match=f"^{path} "):
        load_root_keys(tmp_path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622, 0o644])
def test_a_file_that_others_may_use_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    load_root_keys(tmp_path)
    path = tmp_path / "secret.key"
    path.chmod(mode)

    with pytest.raises(UnusableKey, match=f"chmod 600 {path}"):
        load_root_keys(tmp_path)


def test_a_home_that_is_a_file_is_refused_by_its_path(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("")

    with pytest.raises(UnusableKey, match="cannot be read or made"):
        load_root_keys(home)


def test_errors_never_show_the_key(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey) as caught:
        load_root_keys(tmp_path, "hunter2")

    assert "hunter2" not in str(caught.value)
