"""Which backups leave the folder."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.backup.folder import kept, name_for, remove_outdated

NOW = datetime(2026, 5, 31, 3, tzinfo=UTC)


def put(folder: Path, days_ago: float, *, verified: bool = True, content: bytes = b"LOCKGROOVE BACKUP 1\n") -> Path:
    path = name_for(folder, NOW - timedelta(days=days_ago), verified=verified)
    path.write_bytes(content)
    return path


def test_old_ones_leave(tmp_path: Path) -> None:
    old, new = put(tmp_path, 31), put(tmp_path, 29)

    assert remove_outdated(tmp_path, now=NOW, days=30, most=48) == [old]
    assert [each.path for each in kept(tmp_path)] == [new]


def test_the_oldest_of_too_many_leave(tmp_path: Path) -> None:
    oldest, *others = [put(tmp_path, days) for days in (3, 2, 1)]

    assert remove_outdated(tmp_path, now=NOW, days=30, most=2) == [oldest]
    assert len(kept(tmp_path)) == len(others)


def test_the_newest_verified_one_stays_whatever_its_age(tmp_path: Path) -> None:
    good = put(tmp_path, 400)
    for days in (3, 2, 1):
        put(tmp_path, days, verified=False)

    remove_outdated(tmp_path, now=NOW, days=30, most=1)

    assert [each.path for each in kept(tmp_path) if each.verified] == [good]


def test_a_file_of_somebody_else_stays(tmp_path: Path) -> None:
    others = [put(tmp_path, 400, content=b"a shopping list"), tmp_path / "holiday.lgb", tmp_path / "notes.txt"]
    for each in others[1:]:
        each.write_bytes(b"LOCKGROOVE BACKUP 1\n")
    put(tmp_path, 0)

    assert remove_outdated(tmp_path, now=NOW, days=30, most=1) == []
    assert all(each.exists() for each in others)


def test_two_of_the_same_second_have_two_names(tmp_path: Path) -> None:
    first, second = put(tmp_path, 0), put(tmp_path, 0)

    assert [each.path for each in kept(tmp_path)] == [second, first]


def test_one_that_may_not_be_removed_stays_and_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, 1)
    old = put(tmp_path, 31)

    def refuse(_path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)

    assert remove_outdated(tmp_path, now=NOW, days=30, most=48) == []
    assert old.exists()
