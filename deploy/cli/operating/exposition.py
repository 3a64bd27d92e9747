"""Metrics as text, read back: samples with their labels."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One number of one series."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(text: str) -> list[Sample]:
    """Every sample of an exposition. Raises ValueError for what is none."""
    return [
        Sample(name=each.name, labels=each.labels, value=each.value)
        for family in text_string_to_metric_families(text)
        for each in family.samples
    ]
