"""What the environment may say about telemetry, and how it is told what it may not."""

import pytest

from libs.errors import InvalidArgument
from libs.telemetry.options import Sampling, TelemetryOptions


@pytest.mark.parametrize(
    ("sampler", "argument", "meant"),
    [
        (None, None, Sampling(ratio=1, of_parent=True)),
        ("always_on", None, Sampling(ratio=1, of_parent=False)),
        ("always_off", "0.5", Sampling(ratio=0, of_parent=False)),
        ("traceidratio", "0.25", Sampling(ratio=0.25, of_parent=False)),
        ("parentbased_always_off", None, Sampling(ratio=0, of_parent=True)),
        ("parentbased_traceidratio", None, Sampling(ratio=1, of_parent=True)),
    ],
)
def test_a_sampler_is_named_as_opentelemetry_names_it(
    sampler: str | None, argument: str | None, meant: Sampling
) -> None:
    assert Sampling.named(sampler, argument) == meant


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "1.5", "from 0 to 1"),
        ("OTEL_TRACES_SAMPLER_ARG", "nan", "from 0 to 1"),
        ("LOCKGROOVE_LOG_FORMAT", "xml", "json, text"),
    ],
)
def test_what_cannot_be_is_refused_by_its_variable(variable: str, value: str, expected: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{variable}: must be .*{expected}"):
        TelemetryOptions.named({"OTEL_TRACES_SAMPLER": "traceidratio", variable: value})


def test_people_may_have_text() -> None:
    assert not TelemetryOptions.named({"LOCKGROOVE_LOG_FORMAT": "Text"}).json
