"""`python -m services.webhooks`: the webhooks service as a process."""

import sys

from libs.service import run
from services.webhooks.app import open_app
from services.webhooks.settings import Settings

if __name__ == "__main__":
    sys.exit(run(open_app, Settings.from_environment))
