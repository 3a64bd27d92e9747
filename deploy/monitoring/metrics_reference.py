"""`python -m deploy.monitoring.metrics_reference`: records the catalogue of metrics, and writes docs/metrics.md."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.monitoring.catalogue import RECORDED, Metric, catalogue, record
from deploy.monitoring.collecting import collected
from deploy.monitoring.known_names import ELSEWHERE, NOT_HERE

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"

_INTRODUCTION = """\
# Metrics

Made from the code by `python -m deploy.monitoring.metrics_reference`; do not edit.

`GET /api/metrics` has those of the whole suite, each sample with a `service` label; `/metrics` on the
[port of each service](operations.md#ports) has its own, without that label. A histogram `x` has the samples `x_bucket`,
`x_sum` and `x_count`. Every label has few values: names of routes, methods, states and reasons are those of the code;
what callers, peers or senders make up becomes `other` or `unknown`.
"""
_SUBJECTS = (
    ("Suite and processes", ("up", "build", "uptime", "event_loop", "component", "settings", "tls", "disk")),
    ("Gateway", ("http", "gateway", "rate", "rates", "redis")),
    ("Calls between services", ("rpc",)),
    ("Acquisitions", ("acquisition", "acquisitions", "download", "active", "batches", "kill", "peers")),
    ("Soulseek and slskd", ("soulseek", "slskd")),
    ("Providers and caches", ("lidarr", "outbound", "cache")),
    ("Webhooks", ("webhook",)),
    ("Durable work and leases", ("work", "lease", "leases")),
    ("Database", ("sql",)),
    ("Upkeep and backups", ("cleanup", "backup")),
    ("Accounts, keys and automations", ("oauth", "automation", "data", "sealed")),
)
_OTHERS = "Others"
_PROCESS = "Of every process, by prometheus_client"


def page(metrics: Mapping[str, Metric]) -> str:
    """The whole page."""
    return "\n".join([_INTRODUCTION, *_sections(metrics), *_names_elsewhere()])


def _sections(metrics: Mapping[str, Metric]) -> Iterator[str]:
    for title in [*(subject for subject, _ in _SUBJECTS), _OTHERS, _PROCESS]:
        rows = [_row(name, metrics[name]) for name in sorted(metrics) if _subject(name) == title]
        if rows:
            yield f"## {title}\n"
            yield "| Metric | Type | Labels | Meaning | Services |\n| --- | --- | --- | --- | --- |"
            yield from rows
            yield ""


def _names_elsewhere() -> Iterator[str]:
    yield "## Names elsewhere\n"
    yield "What dashboards for Kima (`kima_`) and SongNodes ask for, and what has it here.\n"
    yield "| Theirs | Ours |\n| --- | --- |"
    yield from (f"| {_code(theirs)} | {_code(ours)} |" for theirs, ours in ELSEWHERE.items())
    yield "\n| Theirs | Why it is not here |\n| --- | --- |"
    yield from (f"| {_code(theirs)} | {why} |" for theirs, why in NOT_HERE.items())
    yield ""


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split())


def _subject(name: str) -> str:
    prefix, _, rest = name.partition("_")
    if prefix != "lockgroove":
        return _PROCESS
    words = [rest[: len(start)] for _, starts in _SUBJECTS for start in starts if f"{rest}_".startswith(f"{start}_")]
    return next((title for title, starts in _SUBJECTS if set(starts) & set(words)), _OTHERS)


def _row(name: str, metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    services = "all" if len(metric.services) == 4 else ", ".join(metric.services)
    meaning = metric.help.replace("|", "\\|")
    return f"| `{name}` | {metric.type} | {labels} | {meaning} | {services} |"


def _write() -> None:
    with TemporaryDirectory() as home:
        RECORDED.write_text(record(asyncio.run(collected(Path(home)))))
    PAGE.write_text(page(catalogue()))


if __name__ == "__main__":
    _write()
