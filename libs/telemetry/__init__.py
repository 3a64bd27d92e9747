"""Logs, metrics and traces, with one set-up."""

from libs.telemetry.setup import Telemetry, open_telemetry

__all__ = ["Telemetry", "open_telemetry"]
