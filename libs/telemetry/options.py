"""What the environment says about logs and traces of a process."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.errors import InvalidArgument

LEVEL = "LOCKGROOVE_LOG_LEVEL"
FORMAT = "LOCKGROOVE_LOG_FORMAT"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
SAMPLER = "OTEL_TRACES_SAMPLER"
SAMPLER_ARGUMENT = "OTEL_TRACES_SAMPLER_ARG"

FORMATS = ("json", "text")
SAMPLERS = ("always_on", "always_off", "traceidratio")
_OF_PARENT = "parentbased_"  # as whoever called decided; the rest of the name for those whom nobody called


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Which traces are recorded: a `ratio` of them; with `of_parent`, of those that nobody else has decided about."""

    ratio: float = 1.0
    of_parent: bool = True

    @classmethod
    def named(cls, sampler: str | None, argument: str | None) -> "Sampling":
        """As OpenTelemetry's variables say it; raises InvalidArgument."""
        if not sampler:
            return cls()
        base = sampler.removeprefix(_OF_PARENT)
        if base not in SAMPLERS:
            known = [*SAMPLERS, *(f"{_OF_PARENT}{each}" for each in SAMPLERS)]
            raise InvalidArgument.field(SAMPLER, f"must be one of {', '.join(known)}")
        ratios = {"always_on": 1.0, "always_off": 0.0}
        return cls(ratio=ratios[base] if base in ratios else _ratio(argument), of_parent=base != sampler)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryOptions:
    """How much is logged and how it looks, and where traces go."""

    level: str = "INFO"
    json: bool = True
    otlp_endpoint: str | None = None
    sampling: Sampling = field(default_factory=Sampling)

    @classmethod
    def named(cls, given: Mapping[str, str]) -> "TelemetryOptions":
        """As the variables of the environment name them; raises InvalidArgument."""
        return cls(
            level=given.get(LEVEL, "INFO"),
            json=_is_json(given.get(FORMAT, "json")),
            otlp_endpoint=given.get(ENDPOINT),
            sampling=Sampling.named(given.get(SAMPLER), given.get(SAMPLER_ARGUMENT)),
        )


def _is_json(text: str) -> bool:
    if text.lower() not in FORMATS:
        raise InvalidArgument.field(FORMAT, f"must be one of {', '.join(FORMATS)}")
    return text.lower() == "json"


def _ratio(text: str | None) -> float:
    try:
        ratio = float(text or 1)
    except ValueError:
        ratio = -1
    if not 0 <= ratio <= 1:
        raise InvalidArgument.field(SAMPLER_ARGUMENT, "must be a share of all traces, from 0 to 1")
    return ratio
