"""Each procedure for a disaster is executed by the test that it names."""

import re

from tests.contract.docs.pages import ROOT

SECTION = (ROOT / "docs" / "backup.md").read_text().partition("\n## Disasters\n")[2]
TEST = r"^Test: `(.+)::(\w+)`$"


def test_every_procedure_names_a_test() -> None:
    procedures = SECTION.split("\n### ")[1:]

    assert len(procedures) >= 6
    assert [each.partition("\n")[0] for each in procedures if not re.search(TEST, each, re.MULTILINE)] == []


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(TEST, SECTION, re.MULTILINE)

    missing = [(path, name) for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert named
    assert missing == []
