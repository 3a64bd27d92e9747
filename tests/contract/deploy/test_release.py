"""One version everywhere, a bill of materials that is complete, and a wheel that holds the whole suite."""

import json
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

from packaging.version import Version

from deploy.release.sbom import write_sbom
from deploy.release.version import declared_version
from tests.contract.docs.pages import ROOT


def test_what_is_installed_is_the_version_that_the_project_declares() -> None:
    assert version("lockgroove") == str(Version(declared_version()))  # of 1.2.3-rc.1 it is 1.2.3rc1


def test_the_bill_of_materials_names_everything_that_is_locked(tmp_path: Path) -> None:
    write_sbom(tmp_path / "sbom.json")

    written = json.loads((tmp_path / "sbom.json").read_text())
    locked = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements" / "runtime.lock").read_text(), re.MULTILINE)
    assert sorted((each["name"], each["version"]) for each in written["components"]) == sorted(locked)
    assert len(locked) > 50
    described = written["metadata"]["component"]
    assert (described["name"], described["version"]) == ("lockgroove", declared_version())


def test_the_wheel_holds_every_module_and_what_they_read(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    [wheel] = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "libs", "services", "deploy"], cwd=ROOT, capture_output=True, text=True
    )
    files = {path.removeprefix("libs/stubs/") for path in tracked.stdout.split()}
    assert "lockgroove/descriptors.binpb" in files
    assert {path for path in files if not Path(path).name.startswith(".")} - held == set()
