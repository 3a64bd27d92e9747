"""`python -m deploy.release.sbom`: what the image is made of, as CycloneDX, from the lock and the project file."""

import subprocess
import sys
from pathlib import Path

from deploy.release.version import ROOT

TARGET = ROOT / "build" / "sbom.json"


def write_sbom(target: Path) -> None:
    """Writes the bill of materials: every package of requirements/runtime.lock with its hashes. Needs no network."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock, project = ROOT / "requirements" / "runtime.lock", ROOT / "pyproject.toml"
    read = ["requirements", str(lock), "--pyproject", str(project), "--mc-type", "application"]
    written = ["--no-validate", "--output-reproducible", "--output-format", "JSON", "--output-file", str(target)]
    command = [sys.executable, "-m", "cyclonedx_py", *read, *written]
    subprocess.run(command, check=True)  # noqa: S603 (nothing of it comes from outside)


if __name__ == "__main__":
    write_sbom(TARGET)
    sys.stdout.write(f"{TARGET.relative_to(ROOT)}\n")
