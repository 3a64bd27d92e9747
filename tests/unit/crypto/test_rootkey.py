"""The root key: made once, kept to its owner, refused with a clear word where it cannot be used."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from libs.crypto import RootKeys, UnusableKey, load_root_keys, service_token
from libs.crypto.rootkey import forget_previous_root_key, replace_root_key

CONFIGURED = "a-configured-key-of-enough-characters"
PREVIOUS = "the-key-before-it-of-enough-characters"


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

    with pytest.raises(UnusableKey, match=r"cannot be (read|made)"):
        load_root_keys(home)


def test_errors_never_show_the_key(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey) as caught:
        load_root_keys(tmp_path, "hunter2")

    assert "hunter2" not in str(caught.value)


def test_a_previous_key_is_known_behind_the_configured_one(tmp_path: Path) -> None:
    assert load_root_keys(tmp_path, CONFIGURED, PREVIOUS) == both()


def test_a_previous_key_is_known_behind_that_of_the_file(tmp_path: Path) -> None:
    made = load_root_keys(tmp_path)

    assert load_root_keys(tmp_path, None, PREVIOUS) == RootKeys(current=made.current, previous=(PREVIOUS.encode(),))


def test_further_lines_of_the_file_are_previous_keys(tmp_path: Path) -> None:
    write(tmp_path / "secret.key", f"{CONFIGURED}\n\n{PREVIOUS}\n")

    assert load_root_keys(tmp_path) == both()


def test_a_previous_key_that_is_the_current_one_is_none(tmp_path: Path) -> None:
    assert load_root_keys(tmp_path, CONFIGURED, CONFIGURED).previous == ()


def test_a_wrong_previous_key_is_refused_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="LOCKGROOVE_PREVIOUS_SECRET_KEY does not hold a key"):
        load_root_keys(tmp_path, CONFIGURED, "short")


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o600, 0o644])
def test_a_mounted_file_may_be_readable_as_its_platform_mounts_it(tmp_path: Path, mode: int) -> None:
    mounted = write(tmp_path / "mounted", f"{CONFIGURED}\n{PREVIOUS}\n", mode)

    assert load_root_keys(tmp_path / "home", mounted=mounted) == both()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_mounted_file_that_others_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    mounted = write(tmp_path / "mounted", CONFIGURED, mode)

    with pytest.raises(UnusableKey, match=f"{mounted} can be changed by other users"):
        load_root_keys(tmp_path, mounted=mounted)


def test_a_mounted_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="mounted cannot be read"):
        load_root_keys(tmp_path, mounted=tmp_path / "mounted")

    assert list(tmp_path.iterdir()) == []


def test_a_key_and_a_mounted_file_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="LOCKGROOVE_SECRET_KEY is set, and LOCKGROOVE_SECRET_KEY_FILE too"):
        load_root_keys(tmp_path, CONFIGURED, mounted=tmp_path / "mounted")


def test_a_new_root_key_keeps_the_one_before(tmp_path: Path) -> None:
    before = load_root_keys(tmp_path)
    replace_root_key(tmp_path)
    after = load_root_keys(tmp_path)

    assert after.previous == (before.current,)
    assert after.current != before.current


def test_a_new_root_key_belongs_to_its_owner_alone_and_leaves_nothing_beside(tmp_path: Path) -> None:
    load_root_keys(tmp_path)
    replace_root_key(tmp_path)

    assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]


def test_a_new_root_key_that_root_makes_stays_with_the_owner_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_root_keys(tmp_path)
    owner, given = (tmp_path / "secret.key").stat(), list[tuple[int, int]]()
    monkeypatch.setattr(os, "chown", lambda path, user, group: given.append((user, group)))

    replace_root_key(tmp_path)

    assert given == [(owner.st_uid, owner.st_gid)]


def test_a_second_new_root_key_is_refused_while_the_one_before_the_first_is_there(tmp_path: Path) -> None:
    load_root_keys(tmp_path)
    replace_root_key(tmp_path)
    before = (tmp_path / "secret.key").read_bytes()

    with pytest.raises(UnusableKey, match="keys forget-previous"):
        replace_root_key(tmp_path)
    assert (tmp_path / "secret.key").read_bytes() == before


def test_a_new_root_key_before_the_first_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableKey, match="is not there"):
        replace_root_key(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_the_disk_that_is_full_leaves_the_keys_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_root_keys(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnusableKey, match="No space left on device; it is as it was"):
        replace_root_key(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]
    assert load_root_keys(tmp_path) == before


def test_a_previous_key_can_be_forgotten(tmp_path: Path) -> None:
    load_root_keys(tmp_path)
    replace_root_key(tmp_path)
    during = load_root_keys(tmp_path)
    forget_previous_root_key(tmp_path)

    assert load_root_keys(tmp_path) == RootKeys(current=during.current)


def test_while_a_previous_key_is_known_its_token_is_sent_and_both_are_accepted() -> None:
    assert both().service_token == service_token(PREVIOUS.encode())
    assert both().service_tokens == (service_token(CONFIGURED.encode()), service_token(PREVIOUS.encode()))


def both() -> RootKeys:
    return RootKeys(current=CONFIGURED.encode(), previous=(PREVIOUS.encode(),))


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path
