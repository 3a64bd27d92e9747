"""The examples of the README and of the guide to the client, run as they stand against a running suite.

Only ports and the key are the suite's own.
"""

import re
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.suite import Suite

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"), pytest.mark.one_process]

_ROOT = Path(__file__).parents[2]
_EXAMPLE = re.compile(r"<!-- example: run by tests/e2e/test_readme\.py -->\n```(?:sh|python)\n(.*?)```", re.DOTALL)
_EXAMPLES = _EXAMPLE.findall((_ROOT / "README.md").read_text())
_CLIENT_EXAMPLES = _EXAMPLE.findall((_ROOT / "docs" / "client.md").read_text())
_CLIENT_SAYS = (
    r"asked for acquisitions/\S+\n(it is [A-Z]+\n)*it is (COMPLETED|FAILED)\n",
    r"(acquisitions/\S+ [A-Z]+\n)+",
    r"not found: .*\nwrong: \['acquisition[^]]*'\]\n",
)


def _here(script: str, suite: Suite) -> str:
    ports = {"3006": suite.environment["LOCKGROOVE_PORT"], "50051": suite.address("acquisition").rpartition(":")[2]}
    for documented, actual in ports.items():
        script = script.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{actual}")
    return script


async def test_the_readme_has_examples() -> None:
    assert len(_EXAMPLES) == 3


@pytest.mark.parametrize("script", _EXAMPLES)
async def test_an_example_does_what_it_says(suite: Suite, script: str) -> None:
    ran = await run("bash", "-euc", _here(script, suite), environment={"KEY": suite.key, "PATH": "/usr/bin:/bin"})

    assert ran.status == 0, ran.output
    assert "acquisition" in ran.output.lower()
    assert "problem" not in ran.output


@pytest.mark.parametrize(("script", "says"), [*zip(_CLIENT_EXAMPLES, _CLIENT_SAYS, strict=True)])
async def test_an_example_of_the_client_prints_what_the_guide_says(suite: Suite, script: str, says: str) -> None:
    addresses = ", ".join(f'{name}="{suite.address(name)}"' for name in ("acquisition", "webhooks", "config"))
    here = script.replace('open_client(os.environ["KEY"])', f'open_client(os.environ["KEY"], Addresses({addresses}))')
    here = here.replace("from libs.client import ", "from libs.client import Addresses, ")

    ran = await run("python", "-c", here, environment={"KEY": suite.key, "PATH": "/usr/bin:/bin"})

    assert ran.status == 0, ran.output
    assert re.fullmatch(says, ran.output), ran.output
