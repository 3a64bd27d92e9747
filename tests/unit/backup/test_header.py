"""The head of a backup is read before any key says who wrote it."""

import json
from pathlib import Path

import pytest

from libs.backup.errors import NotABackup
from libs.backup.header import MAGIC, header_of
from tests.support.commands import lockgroove

FIELDS: dict[str, object] = {
    "made_at": "2026-05-31T00:00:00+00:00",
    "release": "1.0",
    "dialect": "sqlite",
    "revisions": {"config": "0001"},
    "sealed_by": "passphrase",
    "root_key_id": "",
    "salt": "00" * 16,
    "check": "00" * 8,
}


def put(folder: Path, time: str, document: object) -> Path:
    content = json.dumps(document).encode()
    path = folder / f"lockgroove-20260531T{time}Z.lgb"
    path.write_bytes(MAGIC + len(content).to_bytes(4, "big") + content)
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert header_of(put(tmp_path, "000000", FIELDS)).revisions == {"config": "0001"}


@pytest.mark.parametrize(
    "changes",
    [
        {"revisions": ["config"]},
        {"revisions": {"config": 1}},
        {"salt": "no digits"},
        {"made_at": "yesterday"},
        {"made_at": "2026-05-31T00:00:00"},
        {"release": "\x1b[2J"},
        {"release": None},
        {"more": "than is known"},
    ],
)
def test_one_that_was_made_up_is_no_backup(tmp_path: Path, changes: dict[str, object]) -> None:
    path = put(tmp_path, "000000", {**FIELDS, **changes})

    with pytest.raises(NotABackup, match=path.name):
        header_of(path)


async def test_a_damaged_one_does_not_hide_the_others(tmp_path: Path) -> None:
    good, damaged = put(tmp_path, "000001", FIELDS), put(tmp_path, "000002", "cut")

    listed = await lockgroove("restore", "--list", "--json", environment={"LOCKGROOVE_BACKUP_PATH": str(tmp_path)})

    assert listed.status == 0
    assert f'"{good}"' in listed.output
    assert f"left out: {damaged}" in listed.output
