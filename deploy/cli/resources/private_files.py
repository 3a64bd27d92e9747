"""Files that only their owner reads."""

import os
import tempfile
from pathlib import Path

from libs.errors import FailedPrecondition


class CannotWrite(FailedPrecondition):
    """A file cannot be written."""

    reason = "CANNOT_WRITE"


def write_private(path: Path, text: str) -> None:
    """Writes a file whole or not at all, for its owner alone, and makes its folder. Raises CannotWrite."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # made with 0600
        try:
            with os.fdopen(handle, "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CannotWrite(f"{path} cannot be written: {error.strerror}") from error
