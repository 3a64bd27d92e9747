import errno
import os

import pytest

from deploy.container import account


@pytest.mark.parametrize("text", ["", "1000", "0099", "4294967294"])
def test_a_number_or_nothing_is_an_id(text: str) -> None:
    assert list(account.problems({"PUID": text, "PGID": text})) == []


@pytest.mark.parametrize("text", ["media", "-1", "1e3", "4294967295", "9" * 5000, "١٠٠٠", "1000 "])
def test_anything_else_is_none(text: str) -> None:
    [problem] = account.problems({"PUID": text})

    assert problem.startswith(f"PUID: {text!r} is not a number")


def test_root_has_to_be_meant() -> None:
    assert [text.partition(":")[0] for text in account.problems({"PUID": "0", "PGID": "0"})] == ["PUID", "PGID"]
    assert list(account.problems({"PUID": "0", "PGID": "0", "ALLOW_ROOT": "true"})) == []


@pytest.mark.parametrize("text", ["8", "0o22", "1000", "777", "-2", "rwx", " 22"])
def test_a_mask_is_octal(text: str) -> None:
    [problem] = account.problems({"UMASK": text})

    assert problem.startswith("UMASK: ")


def test_a_number_that_the_container_does_not_have_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_number(*_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")  # what the kernel says where no number of the host is meant

    monkeypatch.setattr(os, "setgroups", lambda _: None)
    monkeypatch.setattr(os, "setresgid", no_such_number)
    monkeypatch.setattr(os, "umask", lambda _: 0)

    with pytest.raises(account.CannotBecome, match="user 70000 and group 70000: the user namespace"):
        account.Account(uid=70000, gid=70000, umask=0).become()


def test_the_mask_is_read_as_octal() -> None:
    assert account.read_account({"UMASK": "027"}).umask == 0o027
    assert account.read_account({}).umask == 0o002
