"""The examples of the README, run as they stand against a running suite; only ports and the key are its own."""

import re
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.suite import Suite

pytestmark = pytest.mark.timeout(120)

_README = Path(__file__).parents[2] / "README.md"
_EXAMPLE = re.compile(r"<!-- example: run by tests/e2e/test_readme\.py -->\n```sh\n(.*?)```", re.DOTALL)
_EXAMPLES = _EXAMPLE.findall(_README.read_text())


def _here(script: str, suite: Suite) -> str:
    ports = {"3006": suite.environment["LOCKGROOVE_PORT"], "50051": suite.address("acquisition").rpartition(":")[2]}
    for documented, actual in ports.items():
        script = script.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{actual}")
    return script


def test_the_readme_has_examples() -> None:
    assert len(_EXAMPLES) == 3


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("script", _EXAMPLES)
async def test_an_example_does_what_it_says(suite: Suite, script: str) -> None:
    ran = await run("bash", "-euc", _here(script, suite), environment={"KEY": suite.key, "PATH": "/usr/bin:/bin"})

    assert ran.status == 0, ran.output
    assert "acquisition" in ran.output.lower()
    assert "problem" not in ran.output
