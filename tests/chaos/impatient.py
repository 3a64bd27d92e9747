"""`python -m tests.chaos.impatient`: the webhooks service with a short lease, so that after a kill nobody waits long.

It is the same service in all else; what the dead one had claimed is due again while others are still killed.
"""

import sys
from datetime import timedelta
from functools import partial

from libs.service import run
from services.webhooks.app import open_app
from services.webhooks.settings import Settings

LEASE = timedelta(seconds=6)

if __name__ == "__main__":
    sys.exit(run(partial(open_app, lease=LEASE), Settings.from_environment))
