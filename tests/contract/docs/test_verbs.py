"""Calls that the pages for operators name have the verb that the protos give them."""

import re

from tests.contract.docs.pages import ROOT, code

PAGES = [ROOT / "docs" / f"{name}.md" for name in ("alerts", "runbook", "troubleshooting")]
VERB = re.compile(r'\b(get|put|post|patch|delete): "(/api/[^"]+)"')
CALL = re.compile(r"\b(GET|PUT|POST|PATCH|DELETE) (/api/[\w/{}.:-]+)")


def given() -> dict[str, set[str]]:
    """The verbs of every path, with `*` for what varies."""
    verbs: dict[str, set[str]] = {}
    for file in (ROOT / "protos").rglob("*.proto"):
        for verb, path in VERB.findall(file.read_text()):
            verbs.setdefault(re.sub(r"{(?:[\w.]+=([^}]*)|[^}]*)}", r"\1", path), set()).add(verb.upper())
    return verbs


def verbs_of(path: str) -> set[str]:
    return {
        verb
        for route, verbs in given().items()
        if re.fullmatch(re.escape(route).replace(r"\*", "[^/:]+"), path)
        for verb in verbs
    }


def test_every_call_has_its_verb() -> None:
    calls = {call for page in PAGES for call in CALL.findall(code(page))}
    known = {(verb, path): verbs_of(path) for verb, path in calls}

    assert len([verbs for verbs in known.values() if verbs]) > 15
    assert {call for call, verbs in known.items() if verbs and call[0] not in verbs} == set()
