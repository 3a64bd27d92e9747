"""Ports, paths and times of the documentation are those of the code."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from deploy.cli.running import supervisor
from libs.telemetry.exposition import metrics_address
from services.acquisition.settings import Settings as Acquisition
from services.config.catalogue import load_catalogue
from services.config.settings import Settings as Config
from services.gateway.settings import Settings as Gateway
from services.webhooks.settings import Settings as Webhooks
from tests.contract.docs.pages import PAGES, ROOT, code

OPERATIONS = ROOT / "docs" / "operations.md"


def ports() -> Iterator[int]:
    yield Gateway.from_environment({}).port
    for settings in (Acquisition, Webhooks, Config):
        listen = settings.from_environment({}).listen
        yield int(listen.rpartition(":")[2])
        yield metrics_address(listen)[1]
    yield int(load_catalogue().get("soulseek.listen_port").default)


def test_the_table_of_ports_has_exactly_the_ports() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \|", OPERATIONS.read_text(), re.MULTILINE)

    assert sorted(int(port) for row in rows for port in row.split(",")) == sorted(ports())


def routes() -> set[str]:
    """What the gateway serves: its own routes and those of the protos, with `*` for what varies."""
    gateway = ROOT / "services" / "gateway"
    wired = [gateway / "app.py", *gateway.glob("*/wiring.py"), gateway / "reference" / "description.py"]
    files = [*wired, *(ROOT / "protos").rglob("*.proto")]
    texts = [text for file in files for text in re.findall(r'"(/api/[^"]*)"', file.read_text())]
    return {re.sub(r"{[^}]*}", "*", re.sub(r"{\w+=([^}]*)}", r"\1", text)) for text in texts}


def is_served(path: str) -> bool:
    return any(re.fullmatch(re.escape(route).replace(r"\*", "[^/:]+"), path) for route in routes())


def paths(page: Path) -> set[str]:
    found = re.findall(r"(?<![\w.])(?:https?://[\w.:-]+)?(/api/[^\s`\"'?,;|<>]+)", code(page))
    return {path.rstrip(").") for path in found} - {"/api/v1/"}


def test_every_path_is_served() -> None:
    assert "/api/ready" in paths(OPERATIONS)
    assert {path for page in PAGES for path in paths(page) if not is_served(path)} == set()


def test_times_of_the_supervisor_are_as_told() -> None:
    text = " ".join(OPERATIONS.read_text().split())

    assert f"up to {supervisor.LONGEST_BACKOFF:g} s" in text
    assert f"after {supervisor.STOP_GRACE:g} s they are killed" in text
    assert timedelta(seconds=supervisor.STEADY_AFTER) == timedelta(minutes=1)
    assert "one that lived for a minute" in text
