"""`python -m deploy.release.check v1.2.3`: whether that tag may be released; prints the version, or why not.

`python -m deploy.release.check v1.2.3 --notes` prints what the changelog says about it.
"""

import argparse
import sys
from collections.abc import Sequence

from deploy.release.changelog import notes
from deploy.release.version import ROOT, NotReleasable, check_release


def main(arguments: Sequence[str]) -> int:
    """The exit status: 0 where everything agrees, 1 else."""
    parser = argparse.ArgumentParser(prog="python -m deploy.release.check", description="Check the tag of a release.")
    parser.add_argument("tag", help="such as v1.2.3")
    parser.add_argument("--notes", action="store_true", help="print the notes of the release instead of its version")
    given = parser.parse_args(arguments)
    try:
        version = check_release(given.tag)
    except NotReleasable as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"{notes(version, ROOT / 'CHANGELOG.md') if given.notes else version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
