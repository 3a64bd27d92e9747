"""The search for secrets finds them: a search that cannot fail would prove nothing."""

from pathlib import Path

import pytest

from libs.crypto import service_token
from tests.support.leaks import Leaks


def test_a_secret_of_the_environment_is_found(tmp_path: Path) -> None:
    leaks = Leaks({"LOCKGROOVE_HOME": str(tmp_path), "LIDARR_API_KEY": "0123456789abcdef"})
    leaks.look("answer", '{"key": "0123456789abcdef"}')

    with pytest.raises(AssertionError, match="answer: 0123"):
        leaks.check()


@pytest.mark.parametrize("made", [str, lambda root: service_token(root.encode())])
def test_the_root_key_of_the_first_start_and_its_token_are_found(tmp_path: Path, made: type[str]) -> None:
    root = "a-root-key-of-a-test-long-enough-0123"
    (tmp_path / "secret.key").write_text(f"{root}\n")
    leaks = Leaks({"LOCKGROOVE_HOME": str(tmp_path)})
    leaks.look_through("printed", [f"gateway | {made(root)}"])

    with pytest.raises(AssertionError, match="printed"):
        leaks.check()


def test_where_nothing_is_told_nothing_is_found(tmp_path: Path) -> None:
    leaks = Leaks({"LOCKGROOVE_HOME": str(tmp_path), "SOULSEEK_PASSWORD": "a-password-of-a-test"})
    leaks.look_through("printed", ["all is well"])

    leaks.check()
