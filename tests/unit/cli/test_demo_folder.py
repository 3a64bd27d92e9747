from pathlib import Path

import pytest

from deploy.cli.demo.run import NotADemoFolder, run_demo


async def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotADemoFolder, match="choose another --folder"):
        await run_demo(folder=tmp_path / "file" / "demo", keep=False)
