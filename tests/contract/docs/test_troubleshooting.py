"""Every reason that an acquisition can fail for is explained, and no reason is explained that nobody gives."""

import ast
import inspect
import re
from collections.abc import Iterator

from libs.errors import AppError
from services.acquisition import library
from services.acquisition.domain import lidarr, peers
from services.acquisition.lidarr import client
from services.acquisition.soulseek import errors
from tests.contract.docs.pages import ROOT, named
from tests.contract.docs.test_environment import read_by_services

PAGE = ROOT / "docs" / "troubleshooting.md"
NEVER_THE_END = {"LIDARR_FAULT"}  # a name for all of them
REASON = r"\b[A-Z]+(?:_[A-Z]+)+\b"


def said_in_place() -> Iterator[str]:
    """The reasons of every `Failure(reason="…")` of the acquisition service."""
    for file in (ROOT / "services" / "acquisition").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Failure":
                given = [word.value for word in call.keywords if word.arg == "reason"]
                yield from (str(value.value) for value in given if isinstance(value, ast.Constant))


def raised() -> Iterator[str]:
    """The reasons of errors that end an acquisition."""
    for kind in vars(library).values():
        if inspect.isclass(kind) and issubclass(kind, AppError) and kind.__module__ == library.__name__:
            yield kind.reason
    for fault in [*vars(lidarr).values(), *vars(client).values()]:
        if inspect.isclass(fault) and issubclass(fault, lidarr.LidarrFault):
            yield fault.reason
    for unusable in vars(errors).values():
        if inspect.isclass(unusable) and issubclass(unusable, peers.NetworkUnusable):
            yield from re.findall(rf'"({REASON})"', inspect.getsource(unusable))


def given_anywhere() -> set[str]:
    files = [file for folder in ("libs", "services") for file in (ROOT / folder).rglob("*.py")]
    return {reason for file in files for reason in re.findall(rf'"({REASON})"', file.read_text())}


def test_every_reason_that_an_acquisition_fails_for_is_explained() -> None:
    reasons = {*said_in_place(), *raised()} - NEVER_THE_END

    assert {"NO_CANDIDATES", "LIBRARY_NOT_WRITABLE", "LIDARR_REFUSED_KEY", "SOULSEEK_KICKED"} <= reasons
    assert reasons - named(REASON, PAGE) == set()


def test_every_reason_that_is_explained_is_given_somewhere() -> None:
    assert named(REASON, PAGE) - given_anywhere() - read_by_services() == set()
