"""`make chaos`: hundreds of kills under load on SQLite and PostgreSQL; fails where an acknowledged event was lost."""

import argparse
import asyncio
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import tests.support.grpc_without_fork  # noqa: F401 (before grpc)
from libs.telemetry.logs import configure_logging
from tests.chaos import campaign
from tests.chaos.campaign import Outcome
from tests.support.postgres import Postgres, run_postgres

_HEADS = (
    "database",
    "kills (webhooks, gateway, database)",
    "acknowledged",
    "repeats",
    "stored",
    "of these unanswered",
    "effects",
    "duplicates",
    "lost",
    "minutes",
)


def _row(database: str, outcome: Outcome, seconds: float) -> str:
    kills = ", ".join(str(outcome.kills.get(name, 0)) for name in ("webhooks", "gateway", "database"))
    cells = [
        database,
        f"{sum(outcome.kills.values())} ({kills})",
        *(outcome.acknowledged, outcome.repeats, outcome.stored, outcome.stored_unanswered, outcome.effects),
        *(len(outcome.duplicates) + len(outcome.wrong), len(outcome.lost), f"{seconds / 60:.1f}"),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _campaign(database: str, server: Postgres | None, arguments: argparse.Namespace) -> bool:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        if server is not None:
            server.execute('CREATE DATABASE "chaos"')
        within = timedelta(minutes=arguments.minutes)
        running = campaign.run(
            Path(home), kills=arguments.kills, seed=arguments.seed, server=server, database="chaos", within=within
        )
        outcome = asyncio.run(running)
    print(_row(database, outcome, time.monotonic() - begun), flush=True)  # noqa: T201 (the table)
    for text in (*outcome.lost, *outcome.duplicates, *outcome.wrong):
        print(f"WRONG: {text}", file=sys.stderr)  # noqa: T201
    return outcome.clean


def main() -> int:
    """Both campaigns; the exit status says whether the books balance."""
    parser = argparse.ArgumentParser(prog="make chaos")
    parser.add_argument("--kills", type=int, default=120, help="on each database")
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--minutes", type=float, default=60, help="of killing, at most, on each database")
    parser.add_argument("--only", choices=("sqlite", "postgresql"), help="on one database alone")
    arguments = parser.parse_args()
    configure_logging(level="error", stream=sys.stderr)
    print("| " + " | ".join(_HEADS) + " |\n" + "| --- " * len(_HEADS) + "|", flush=True)  # noqa: T201
    clean = True
    if arguments.only != "postgresql":
        clean &= _campaign("SQLite", None, arguments)
    if arguments.only != "sqlite":
        with run_postgres(durable=True) as server:
            clean &= _campaign("PostgreSQL", server, arguments)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
