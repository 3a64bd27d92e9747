"""Who calls: what every provider wants to be told."""

from importlib.metadata import version

LOCKGROOVE = f"lockgroove/{version('lockgroove')}"
