"""The Dockerfile is sound, and the image is made of what is locked and committed."""

import re
import subprocess
import sys
from pathlib import Path

from tests.contract.docs.pages import ROOT

CONTAINER = ROOT / "deploy" / "container"
DOCKERFILE = (CONTAINER / "Dockerfile").read_text()


def run(program: str, *arguments: str | Path) -> str:
    """What a linter finds."""
    done = subprocess.run([Path(sys.executable).with_name(program), *arguments], capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_linters_find_nothing() -> None:
    assert run("hadolint", CONTAINER / "Dockerfile") == ""
    assert (
        run(
            "shellcheck",
            CONTAINER / "lockgroove",
            CONTAINER / "try-image",
            ROOT / "deploy" / "compose" / "make-secrets",
        )
        == ""
    )


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(?:--\S+ )?(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = [source for line in copies for source in line.split()]

    assert "requirements/runtime.lock" in sources
    for source in sources:
        assert (ROOT / source).exists()
        assert any(f"!{path}" in ignored for path in (source, source.split("/")[0]))


def test_secrets_and_data_never_reach_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()

    assert "*" in ignored
    made = [line for line in (ROOT / "deploy/compose/.gitignore").read_text().splitlines() if not line.startswith("#")]
    assert {"data/", "secrets/", ".env"} <= set(made)
    assert {f"deploy/compose/{name.rstrip('/')}" for name in made} <= set(ignored)


def test_nothing_is_installed_that_is_not_locked() -> None:
    installs = re.findall(r"pip .*?install (.*?)(?:\\|$)", DOCKERFILE, re.MULTILINE)

    assert [("--require-hashes" in line, "--no-index" in line) for line in installs] == [(True, False), (False, True)]
    assert "--only-binary :all:" in installs[0]
    assert not re.search(r"apt-get|apk |curl |wget ", DOCKERFILE)


def test_the_image_makes_up_no_place_for_what_is_forgotten() -> None:
    instructions = re.findall(r"^([A-Z]+) (.*)$", DOCKERFILE, re.MULTILINE)

    assert "VOLUME" not in dict(instructions)
    assert not [
        text for name, text in instructions if name == "RUN" and re.search(r"/(config|downloads|music)\b", text)
    ]


def test_the_image_says_what_it_is() -> None:
    labels = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", DOCKERFILE))

    assert {"title", "description", "version", "revision", "created", "source", "licenses", "base.name"} <= labels
