"""httpx as services use it: without the command line that loads rich."""

from libs.lean import without

with without("rich"):
    import httpx

__all__ = ["httpx"]
