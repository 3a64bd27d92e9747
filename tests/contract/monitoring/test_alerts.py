"""Every alert says what it is about, proves both sides of its threshold, and has a section that says what to do."""

import re

from deploy.monitoring.alerts.table import ALERTS
from tests.contract.docs.pages import ROOT

PAGE = ROOT / "docs" / "alerts.md"
SECTION = re.compile(r"^### (\w+)\n\n\*(.+?)\*: `([^`]+)`\n\n(.+?)(?=\n#|\Z)", re.MULTILINE | re.DOTALL)


def test_every_alert_has_its_section_and_every_section_an_alert() -> None:
    sections = [(name, holds, expression) for name, holds, expression, _ in SECTION.findall(PAGE.read_text())]

    assert sections == [(alert.name, alert.holds, alert.expression) for alert in ALERTS]


def test_every_section_says_what_it_means_where_to_look_and_what_to_do() -> None:
    bodies = {name: body for name, _, _, body in SECTION.findall(PAGE.read_text())}

    words = ("**What it means.**", "**First look.**", "**What to do.**")
    assert [name for name, body in bodies.items() if not all(word in body for word in words)] == []


def test_every_alert_of_the_operations_chapter_is_there() -> None:
    names = {alert.name for alert in ALERTS}

    assert len(names) == len(ALERTS) > 40


def test_descriptions_have_the_value_or_need_none() -> None:
    without = [alert for alert in ALERTS if "$value" not in alert.description]

    numbers = [alert.name for alert in without if alert.condition and not re.match(r"== [01]|< 1", alert.condition)]
    assert numbers == ["LockgrooveCleanupFailing"]
