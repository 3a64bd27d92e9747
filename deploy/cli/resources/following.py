"""Streams that outlive a restart of the suite: behind what was seen, without a gap and nothing twice."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from deploy.cli.suite import Document, Refused, Suite, SuiteUnreachable

PATIENCE = 600.0  # seconds for which the suite may be away
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 10.0  # seconds
_OUR_FAULT = range(400, 500)


def follow(
    suite: Suite,
    path: str,
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    **asked: Any,
) -> Iterator[Document]:
    """The messages of a stream, for ever. Raises SuiteUnreachable or Refused where it never began.

    Once it has, also where nobody answers for longer than `patience`, and what the suite refuses for good.
    """
    token: str | None = None
    began, pause, away = False, _FIRST_PAUSE, 0.0
    while True:
        try:
            for message in suite.lines(path, resumeToken=token, **asked):
                token = message.get("resumeToken") or token
                began, pause, away = True, _FIRST_PAUSE, 0.0
                yield message
            began = True
        except (SuiteUnreachable, Refused) as error:
            if not began or away >= patience or (isinstance(error, Refused) and error.status in _OUR_FAULT):
                raise
        sleep(pause)
        away += pause
        pause = min(pause * 2, _LONGEST_PAUSE)
