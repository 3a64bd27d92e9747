"""What an import did: counted for each part, and every row that did not come along whole is named with the reason."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

MOST_REMARKS = 10_000  # that are kept; the others are only counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is odd about one value; never the value itself, which may be a secret."""

    part: str
    row: str
    column: str
    why: str


class Unusable(Exception):
    """A row that cannot be taken over at all."""

    def __init__(self, column: str, why: str) -> None:
        super().__init__(f"{column}: {why}")
        self.column = column
        self.why = why


@dataclass(slots=True, kw_only=True)
class Count:
    """How many rows of a part were read, and what became of them: each is counted in one of the others."""

    read: int = 0
    imported: int = 0
    there_already: int = 0
    skipped: int = 0


@dataclass(slots=True, kw_only=True)
class Report:
    """The whole import. With `dry_run`, imported is what would be; `complete` once nothing is left to do."""

    dry_run: bool
    complete: bool = False
    counts: dict[str, Count] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    remarks_left_out: int = 0
    resumed: int = 0

    def of(self, part: str) -> Count:
        """The counts of a part."""
        return self.counts.setdefault(part, Count())

    def remark(self, part: str, row: str, column: str, why: str) -> None:
        """Notes what is odd."""
        if len(self.remarks) < MOST_REMARKS:
            self.remarks.append(Remark(part=part, row=row[:200], column=column, why=why))
        else:
            self.remarks_left_out += 1

    def skip(self, part: str, row: str, reason: Unusable) -> None:
        """Notes a row that is left out, and why."""
        self.of(part).skipped += 1
        self.remark(part, row, reason.column, f"skipped: {reason.why}")

    def table(self) -> Iterable[tuple[object, ...]]:
        """A row for each part, for people."""
        for part, count in self.counts.items():
            yield part, count.read, count.imported, count.there_already, count.skipped

    def to_json(self) -> Mapping[str, Any]:
        """The report as a document."""
        return {
            "dryRun": self.dry_run,
            "complete": self.complete,
            "parts": {
                part: {
                    "read": count.read,
                    "imported": count.imported,
                    "thereAlready": count.there_already,
                    "skipped": count.skipped,
                }
                for part, count in self.counts.items()
            },
            "resumed": self.resumed,
            "remarks": [asdict(each) for each in self.remarks],
            "remarksLeftOut": self.remarks_left_out,
        }
