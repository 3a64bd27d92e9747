"""Every metric that the documentation names is emitted."""

from deploy.monitoring.catalogue import catalogue
from deploy.monitoring.recording import RECORDED
from tests.contract.docs.pages import PAGES, named

PRESENT = [page for page in PAGES if page.parent.name != "adr"]  # decisions tell of the past, too
NO_METRICS = {"lockgroove_session"}  # the cookie


def emitted() -> set[str]:
    names = catalogue()
    return {f"{name}{suffix}" for name in names for suffix in ("", "_bucket", "_sum", "_count")} | set(RECORDED)


def test_every_metric_exists() -> None:
    found = named(r"(?<![\w/.:-])lockgroove[_:][a-z0-9_:]+[a-z0-9](?![\w*./-])", *PRESENT)

    assert "lockgroove_kill_switch" in found
    assert found - emitted() - NO_METRICS == set()
