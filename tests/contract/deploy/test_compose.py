"""The compose files are valid, closed by default, and name nothing that is not there."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.cli.environment.names import COMMANDS, PROCESS
from deploy.cli.running.supervisor import STOP_GRACE
from deploy.compose import env_example
from deploy.container import secretfiles
from deploy.container.entrypoint import SERVICES
from deploy.release.version import declared_version
from services.config.catalogue import load_catalogue
from tests.contract.deploy.schemas import problems
from tests.contract.docs.pages import ROOT

FOLDER = ROOT / "deploy" / "compose"
SMALL, FULL = FOLDER / "compose.yaml", FOLDER / "compose.full.yaml"
EACH = pytest.mark.parametrize("file", [SMALL, FULL], ids=lambda file: file.name)
SECONDS = re.compile(r"(\d+)s")


@cache
def services(file: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(file.read_text())["services"])


def ours(file: Path) -> dict[str, dict[str, Any]]:
    return {name: it for name, it in services(file).items() if "LOCKGROOVE_IMAGE" in it["image"]}


def offered() -> set[str]:
    return set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", (FOLDER / ".env.example").read_text(), re.MULTILINE))


@EACH
def test_it_is_what_compose_understands(file: Path) -> None:
    assert problems("compose-spec", file) == []


@EACH
def test_every_variable_that_it_reads_is_explained(file: Path) -> None:
    read = set(re.findall(r"\$\{([A-Z_]+)", file.read_text()))

    assert "HOST_MUSIC" in read
    assert read <= offered()


def test_every_variable_of_the_suite_is_explained_or_decided_by_the_container() -> None:
    of_services = PROCESS | {spec.environment for spec in load_catalogue()}

    assert of_services - env_example.PINNED - offered() == set()
    assert offered() - env_example.COMPOSE.keys() - of_services - COMMANDS == set()


def test_the_example_is_the_one_that_is_made() -> None:
    assert (FOLDER / ".env.example").read_text() == env_example.example(declared_version())


@EACH
def test_every_variable_that_it_sets_is_read(file: Path) -> None:
    known = PROCESS | COMMANDS | {spec.environment for spec in load_catalogue()}
    known |= {f"{name}_FILE" for name in secretfiles.SECRETS}

    assert {name for it in ours(file).values() for name in it["environment"]} - known == set()


@EACH
def test_nothing_may_more_than_it_needs(file: Path) -> None:
    for name, it in services(file).items():
        assert it["cap_drop"] == ["ALL"], name
        assert it["security_opt"] == ["no-new-privileges:true"], name
        assert it["read_only"], name
        assert not it.get("privileged"), name
    for it in ours(file).values():
        assert sorted(it["cap_add"]) == ["CHOWN", "SETGID", "SETUID"]


@EACH
def test_only_peers_reach_it_from_elsewhere_unless_asked_for(file: Path) -> None:
    ports = [port for it in services(file).values() for port in it.get("ports", [])]
    outside = [port for port in ports if not port.startswith(("127.0.0.1:", "${HOST_ADDRESS:-127.0.0.1}:"))]

    assert outside == ["${HOST_PEERS_ADDRESS:-0.0.0.0}:60000:60000"]


@EACH
def test_services_have_longer_to_stop_than_they_take(file: Path) -> None:
    for it in ours(file).values():
        [seconds] = SECONDS.findall(it["stop_grace_period"])
        assert int(seconds) > STOP_GRACE


@EACH
def test_images_have_versions(file: Path) -> None:
    for it in services(file).values():
        image = re.sub(r"\$\{\w+:-(.*)\}", r"\1", it["image"])
        assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*", image), image
    for it in ours(file).values():
        assert it["image"].endswith(f"lockgroove:{declared_version()}}}")


@EACH
def test_the_image_is_built_as_the_version_that_it_is_named_for(file: Path) -> None:
    for it in ours(file).values():
        build = it["build"]
        assert build["args"]["VERSION"] == declared_version()
        assert (FOLDER / build["context"] / build["dockerfile"]).samefile(ROOT / "deploy" / "container" / "Dockerfile")


@EACH
def test_what_it_mounts_and_hands_on_is_there(file: Path) -> None:
    whole = yaml.safe_load(file.read_text())
    made = set(re.findall(r"^keep (\w+)", (FOLDER / "make-secrets").read_text(), re.MULTILINE))
    for it in whole["services"].values():
        assert set(it.get("secrets", [])) <= whole.get("secrets", {}).keys()
        for source in [mount.split(":")[0] for mount in it.get("volumes", []) if isinstance(mount, str)]:
            assert (FOLDER / source).exists() if source.startswith(".") else source in whole["volumes"]

    assert {Path(secret["file"]).name for secret in whole.get("secrets", {}).values()} <= made


def test_every_service_has_a_container_with_its_own_health() -> None:
    for name in SERVICES:
        it = services(FULL)[name]
        assert it["command"] == [name]
        assert it["healthcheck"]["test"] == ["CMD", "lockgroove", "healthcheck", *([name] if name != "gateway" else [])]


def test_containers_call_each_other_by_names_that_are_there() -> None:
    every = services(FULL)
    named = {
        host
        for it in every.values()
        for value in it.get("environment", {}).values()
        for host in re.findall(r"^(?:\w+://)?([a-z][\w.-]*):\d+", str(value))
    }

    assert {"config", "postgres", "valkey"} <= named | {"postgres"}
    assert named <= every.keys()
    assert re.findall(r"@(\w+):", (FOLDER / "make-secrets").read_text()) == ["postgres"]
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    assert scraped[0]["static_configs"] == [{"targets": ["gateway:3006"]}]


def test_who_calls_another_shares_a_network_with_it() -> None:
    every = services(FULL)

    for name in SERVICES:
        assert {"suite", "stores"} <= set(every[name]["networks"])
    assert every["postgres"]["networks"] == every["valkey"]["networks"] == ["stores"]


def test_secrets_are_made_once_and_for_nobody_elses_eyes(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets"
    script.write_text((FOLDER / "make-secrets").read_text())

    def make() -> dict[str, str]:
        subprocess.run(["/bin/sh", script], check=True, capture_output=True)
        return {file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()}

    made = make()
    assert made == make()
    assert len({len(text) for name, text in made.items() if name.endswith("password")}) == 1
    assert made["postgres_password"].strip() in made["database_url"]
    assert len(set(made.values())) == len(made) == 5
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
