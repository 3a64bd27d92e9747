"""What commands print: terminals show it and do not obey it, programs can read it whatever it holds."""

import io
import json
import sys

import pytest

from deploy.cli.output import print_json, print_lines, print_table


def test_no_stranger_commands_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(["\x1b]0;owned\x07 a b \udcff"])
    print_table(["NAME"], [["\x1b[2J"]])

    first, _, cell = capsys.readouterr().out.splitlines()
    assert first == "\\x1b]0;owned\\x07 a b \\udcff"
    assert cell.strip() == "\\x1b[2J"


def test_a_row_stays_on_its_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["A", "B"], [["x" * 500, "y" * 500]])

    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.parametrize(("text", "encoding"), [("Bj\u00f6rk", "ascii"), ("\ud800", "utf-8")])
def test_a_document_is_json_whatever_the_place_takes(text: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))

    print_json({"text": text})

    assert json.loads(raw.getvalue().decode(encoding)) == {"text": text}
