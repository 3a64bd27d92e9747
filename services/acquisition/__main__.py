"""`python -m services.acquisition`: the acquisition service as a process."""

import sys

from libs.service import run
from services.acquisition.app import open_app
from services.acquisition.settings import Settings

if __name__ == "__main__":
    sys.exit(run(open_app, Settings.from_environment))
