"""A clean-up of the suite that runs: begun in every service, and waited for."""

import time
from collections.abc import Mapping

from deploy.cli.output import progress
from deploy.cli.suite import Document, Suite
from libs.errors import Unavailable

PATH = "/api/v1/cleanup"
LOOK = 0.25  # seconds between two looks


class CleanupNotEnded(Unavailable):
    """The run goes on, and nobody waits for it any more."""

    reason = "CLEANUP_NOT_ENDED"


def preview(suite: Suite) -> Document:
    """What would be removed."""
    return suite.post(f"{PATH}:run", {"dryRun": True})


def last(suite: Suite) -> Document:
    """What the last run of each service removed."""
    return suite.get(PATH)


def run(suite: Suite, *, within: float) -> Document:
    """Begins a run and waits for its end; raises CleanupNotEnded when that takes longer than `within` seconds."""
    begun = suite.post(f"{PATH}:run")
    before = {each["service"]: each.get("endTime") for each in begun["reports"] if not each.get("problem")}
    silent = [each for each in begun["reports"] if each.get("problem")]
    deadline = time.monotonic() + within
    with progress("cleaning up", total=len(before)) as bar:
        while time.monotonic() < deadline:
            asked = [each for each in suite.get(PATH)["reports"] if each["service"] in before]
            ended = [each for each in asked if _has_ended(each, before)]
            bar.show(len(ended))
            if len(ended) == len(before):
                return {"reports": [*asked, *silent]}
            time.sleep(LOOK)
    raise CleanupNotEnded(f"the clean-up has not ended within {within:.0f} s: it goes on; look with --report")


def problems(found: Document) -> list[str]:
    """What could not be removed, or asked."""
    return [
        problem
        for report in found.get("reports", [])
        for problem in (report.get("problem"), *(kind.get("problem") for kind in report.get("removals", ())))
        if problem
    ]


def _has_ended(report: Document, before: Mapping[str, str | None]) -> bool:
    """One that cannot be asked now is waited for no longer."""
    if report.get("problem"):
        return True
    return not report.get("running") and report.get("endTime") not in (None, before[report["service"]])
