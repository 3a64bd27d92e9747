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


@pytest.mark.parametrize("text", ["8", "0o22", "1000", "-2", "rwx", " 22"])
def test_a_mask_is_octal(text: str) -> None:
    [problem] = account.problems({"UMASK": text})

    assert problem.startswith("UMASK: ")


def test_the_mask_is_read_as_octal() -> None:
    assert account.read_account({"UMASK": "027"}).umask == 0o027
    assert account.read_account({}).umask == 0o002
