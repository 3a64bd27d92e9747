"""The suite for programs: typed stubs of every service behind one key, with deadlines, retries, pages and streams.

Guide: docs/client.md. Errors are those of `libs.errors`.
"""

from libs.client.following import follow
from libs.client.lists import items, pages
from libs.client.suite import Addresses, Client, open_client

__all__ = ["Addresses", "Client", "follow", "items", "open_client", "pages"]
