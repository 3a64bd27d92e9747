"""The workflows are valid, may do no more than they have to, and run what is there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.deploy.schemas import problems
from tests.contract.docs.pages import ROOT

FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)


def jobs(file: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(file.read_text())["jobs"])


def scripts() -> Iterator[str]:
    for file in FILES:
        for job in jobs(file).values():
            yield from (step["run"] for step in job.get("steps", []) if "run" in step)


@EACH
def test_it_is_what_github_understands(file: Path) -> None:
    assert problems("github-workflows", file) == []


def test_dependabot_understands_its_file() -> None:
    assert problems("dependabot", ROOT / ".github" / "dependabot.yml") == []


def test_the_auditor_of_workflows_finds_nothing() -> None:
    program = Path(sys.executable).with_name("zizmor")
    done = subprocess.run([program, "--offline", "--no-progress", ROOT / ".github"], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


@EACH
def test_rights_are_given_to_jobs_alone_and_actions_are_pinned(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == {}
    for name, job in jobs(file).items():
        assert job["permissions"]["contents"] == ("write" if name == "publish" else "read")
        for step in job.get("steps", []):
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step.get("uses", f"a@{'0' * 40}"))


def test_scripts_of_workflows_are_sound() -> None:
    program = Path(sys.executable).with_name("shellcheck")
    for script in scripts():
        command = [str(program), "--shell=bash", "--exclude=SC2016", "-"]  # a backquote in a text is meant for Markdown
        done = subprocess.run(command, input=script, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_what_they_run_is_there() -> None:
    text = "\n".join(scripts())
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert {"test", "audit", "sbom"} <= set(re.findall(r"make ([a-z-]+)", text)) <= targets
    assert all(find_spec(module) for module in re.findall(r"python -m (deploy[\w.]+)", text))
    for path in set(re.findall(r"\bdeploy/[\w./-]+", text)):
        assert (ROOT / path).exists()


def test_nothing_is_released_before_it_is_tested() -> None:
    release = jobs(FOLDER / "release.yml")

    assert release["test"]["uses"].endswith("/test.yml")
    assert release["security"]["uses"].endswith("/security.yml")
    assert set(release["image"]["needs"]) == {"check", "test", "security"}
    assert "image" in release["publish"]["needs"]


def test_nothing_is_published_twice_or_under_a_tag_that_has_moved() -> None:
    scripts = [step.get("run", "") for step in jobs(FOLDER / "release.yml")["publish"]["steps"]]
    checks = next(place for place, script in enumerate(scripts) if "gh release view" in script)

    assert "gh api" in scripts[checks]
    assert not any("imagetools create" in script or "gh release create" in script for script in scripts[:checks])


@EACH
def test_a_failure_within_a_pipe_is_one(file: Path) -> None:
    shell = yaml.safe_load(file.read_text()).get("defaults", {}).get("run", {}).get("shell")

    assert shell == "bash" or not any(
        " | " in step.get("run", "") for it in jobs(file).values() for step in it.get("steps", [])
    )


def test_both_platforms_get_one_name() -> None:
    release = jobs(FOLDER / "release.yml")
    built = [each["platform"] for each in release["image"]["strategy"]["matrix"]["include"]]
    [joined] = [step["run"] for step in release["publish"]["steps"] if "imagetools create" in step.get("run", "")]

    assert built == ["linux/amd64", "linux/arm64"]
    assert joined.count("$image@$(cat digests/") == 2
