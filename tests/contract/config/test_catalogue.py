"""What the proto must say of every setting, so that people, pages and the suite itself can rely on it."""

import re
from functools import cache

import pytest

from services.config.catalogue import described, load_catalogue
from services.config.domain.catalogue import Kind, SettingSpec
from services.config.rules import ProtoRules
from tests.contract.docs.pages import ROOT

CATALOGUE = load_catalogue()
SETTINGS = described(CATALOGUE)
RULES = ProtoRules(CATALOGUE)
SERVICES = {folder.parent.name for folder in ROOT.glob("services/*/__main__.py")}
COUNTS_NOTHING = re.compile(r"_(id|port)$")
ACCEPTED_ONLY = {"lastfm.api_secret"}  # kept for those who have set it; nothing is signed yet
NUMBERS = [each for each in SETTINGS if each.kind is Kind.INTEGER]
BOUNDED = [each for each in SETTINGS if each.kind in (Kind.INTEGER, Kind.DURATION)]


@cache
def source_of(service: str) -> str:
    """What it reads settings with: its own code, and that which follows settings for it."""
    own = "\n".join(file.read_text() for file in (ROOT / "services" / service).rglob("*.py"))
    return own + (ROOT / "libs" / "live.py").read_text() if "LiveSettings(" in own else own


def named(specs: list[SettingSpec]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("each", specs, ids=lambda each: each.path)


@named(NUMBERS)
def test_a_number_says_what_it_counts_unless_it_names_something(each: SettingSpec) -> None:
    assert bool(each.unit) != bool(COUNTS_NOTHING.search(each.path))


def test_nothing_but_a_number_has_a_unit() -> None:
    assert [each.path for each in SETTINGS if each.unit and each.kind is not Kind.INTEGER] == []


def test_every_setting_is_obeyed_by_services_that_exist() -> None:
    assert {name for each in SETTINGS for name in each.services} <= SERVICES
    assert {each.path for each in SETTINGS if not each.services} == ACCEPTED_ONLY


@named(SETTINGS)
def test_a_setting_is_read_in_each_service_that_is_said_to_obey_it(each: SettingSpec) -> None:
    name = each.path.partition(".")[2]
    reads = re.compile(rf"\.{name}\b|\"{name}\"|\b{re.escape(each.path)}\b")

    assert [service for service in each.services if not reads.search(source_of(service))] == []


def test_every_setting_has_a_meaning() -> None:
    assert [each.path for each in SETTINGS if not each.help.endswith(".")] == []


def test_every_variable_looks_like_one() -> None:
    assert [each.path for each in SETTINGS if not re.fullmatch(r"[A-Z]+(_[A-Z]+)*", each.environment)] == []


@named(BOUNDED)
def test_a_bound_is_a_value_itself(each: SettingSpec) -> None:
    bounds = [bound for bound in (each.minimum, each.maximum) if bound]

    assert each.minimum
    assert all(RULES.check({each.path: each.parse(bound)}) == [] for bound in bounds)


@named([each for each in SETTINGS if each.kind is Kind.TEXT])
def test_a_text_has_a_greatest_length(each: SettingSpec) -> None:
    assert each.max_length


@named([each for each in SETTINGS if each.kind is Kind.CHOICE])
def test_every_choice_obeys_the_rules(each: SettingSpec) -> None:
    assert all(RULES.check({each.path: choice}) == [] for choice in each.choices)


def test_no_secret_has_a_default() -> None:
    assert [each.path for each in SETTINGS if each.secret and each.default] == []
