"""What a process pays for telemetry that it does not use: nothing."""

import subprocess
import sys

WITHOUT_ENDPOINT = """
import sys
from libs.telemetry import open_telemetry
with open_telemetry("config"):
    pass
sys.exit(any(name.startswith("opentelemetry") for name in sys.modules))
"""


def test_without_an_endpoint_opentelemetry_is_not_even_imported() -> None:
    assert subprocess.run([sys.executable, "-c", WITHOUT_ENDPOINT], check=False).returncode == 0
