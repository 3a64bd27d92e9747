"""The metrics that dashboards, alerts and operators read about are those of the code, named as Prometheus asks."""

import re
from pathlib import Path

import pytest
import pytest_asyncio

from deploy.monitoring.catalogue import RECORDED, Metric, catalogue, record
from deploy.monitoring.collecting import collected
from deploy.monitoring.metrics_reference import PAGE, page
from tests.contract.docs.pages import ROOT
from tests.support.new_home import move_in

METRICS = catalogue()
OURS = {name: metric for name, metric in METRICS.items() if name.startswith("lockgroove_")}
ABBREVIATED = re.compile(r"_(ms|msec|milliseconds|minutes|hours|days|kb|mb|kilobytes|megabytes|percent)(_|$)")
RESERVED = {"le", "quantile", "service", "instance", "job"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def live(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Metric]:
    home = tmp_path_factory.mktemp("home")
    await move_in(home)
    return await collected(home)


@pytest.mark.asyncio(loop_scope="module")
async def test_the_record_is_what_the_code_has(live: dict[str, Metric]) -> None:
    assert RECORDED.read_text() == record(live), "run: python -m deploy.monitoring.metrics_reference"


def test_the_page_is_made_from_the_record() -> None:
    assert PAGE.read_text() == page(METRICS), "run: python -m deploy.monitoring.metrics_reference"


def named_wrongly(name: str, metric: Metric) -> bool:
    """The rules of promtool's linter that a name and a kind can break."""
    is_counter = metric.type == "counter"
    return (
        re.fullmatch(r"lockgroove(_[a-z0-9]+)+", name) is None
        or name.endswith("_total") != is_counter
        or name.endswith(("_count", "_sum", "_bucket"))
        or ABBREVIATED.search(name.removesuffix("_total")) is not None
        or any(name.endswith(f"_{kind}") for kind in ("counter", "gauge", "histogram"))
    )


def test_names_keep_to_the_conventions_of_prometheus() -> None:
    assert [name for name, metric in OURS.items() if named_wrongly(name, metric)] == []


def test_labels_are_snake_case_and_nobody_elses() -> None:
    labels = {label for metric in OURS.values() for label in metric.labels}

    assert {label for label in labels if not re.fullmatch(r"[a-z]+(_[a-z]+)*", label)} == set()
    assert labels & RESERVED == set()


def test_every_metric_says_what_it_is() -> None:
    assert [name for name, metric in OURS.items() if not metric.help.endswith(".")] == []


def test_every_metric_is_named_in_a_test_that_moves_it() -> None:
    others = [file.read_text() for file in ROOT.glob("tests/*/**/*.py") if file != Path(__file__)]
    named = set(re.findall(r"\w+", " ".join(others)))
    samples = {"counter": ("",), "gauge": ("",), "histogram": ("", "_count", "_sum", "_bucket")}

    def is_named(name: str, kind: str) -> bool:
        starts = (name, name.removeprefix("lockgroove_"))
        return any(f"{start}{end}" in named for start in starts for end in samples[kind])

    assert [name for name, metric in OURS.items() if not is_named(name, metric.type)] == []
