"""`python -m services.gateway`: the gateway as a process."""

import sys

from libs.service import run
from services.gateway.app import open_app
from services.gateway.settings import Settings

if __name__ == "__main__":
    sys.exit(run(open_app, Settings.from_environment))
