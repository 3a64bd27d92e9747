"""The demo keeps its promises, as a newcomer runs it."""

from pathlib import Path

import pytest

from tests.support.commands import run


@pytest.mark.timeout(180)
async def test_the_demo_ends_well_and_leaves_verified_files(tmp_path: Path) -> None:
    ran = await run("lockgroove", "demo", "--folder", str(tmp_path / "demo"), within=150)

    assert ran.status == 0, ran.output
    assert "15 verified files" in ran.output
    assert len(list((tmp_path / "demo" / "music").rglob("*.flac"))) == 15


async def test_the_demo_empties_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    precious = tmp_path / "photo.jpg"
    precious.write_bytes(b"precious")

    ran = await run("lockgroove", "demo", "--folder", str(tmp_path))

    assert ran.status == 1
    assert "no demo made it" in ran.output
    assert precious.read_bytes() == b"precious"
