"""All services in this process and one event loop: half the memory, for small devices."""

import asyncio
import importlib

from libs.service import serve

_SERVICES = ("config", "webhooks", "acquisition", "gateway")


async def run_all(stop: asyncio.Event) -> None:
    """Serve every service until `stop`; the first one that fails ends all."""
    async with asyncio.TaskGroup() as group:
        for name in _SERVICES:
            await asyncio.sleep(0)  # those before begin, and signals are heard: to import a service takes a second
            if stop.is_set():
                return
            app = importlib.import_module(f"services.{name}.app")
            settings = importlib.import_module(f"services.{name}.settings").Settings.from_environment()
            group.create_task(serve(app.open_app, settings, stop))
