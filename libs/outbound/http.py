"""httpx as services use it: without its command line, which loads pygments and rich."""

from libs.lean import without

with without("pygments"):
    import httpx

__all__ = ["httpx"]
