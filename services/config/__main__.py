"""`python -m services.config`: the config service as a process."""

import sys

from libs.service import run
from services.config.app import open_app
from services.config.settings import Settings

if __name__ == "__main__":
    sys.exit(run(open_app, Settings.from_environment))
