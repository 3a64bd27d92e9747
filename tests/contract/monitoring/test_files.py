"""What is committed is what the code makes."""

from deploy.monitoring.__main__ import ROOT, made


def test_what_is_committed_is_what_the_code_makes() -> None:
    stale = [path.relative_to(ROOT) for path, text in made().items() if path.read_text() != text]

    assert stale == [], "run `python -m deploy.monitoring`"


def test_nothing_lies_there_that_nobody_makes() -> None:
    folders = {path.parent for path in made()}

    assert {path for folder in folders for path in folder.iterdir()} == set(made())
