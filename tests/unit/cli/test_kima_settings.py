"""What Kima's settings ask for: secrets opened with the right key only, and nothing taken silently."""

import pytest

from deploy.cli.importing.report import Report
from deploy.cli.importing.secrets import KimaKey, UnusableKimaKey
from deploy.cli.importing.settings import wishes
from tests.support.kima import KEY, sealed

SECRET = "canary-7f3a"


def asked(report: Report | None = None, key: str | None = KEY, **columns: str | None) -> dict[str, object]:
    given = KimaKey(key) if key else None
    found = wishes({"id": "default", **columns}, given, report or Report(dry_run=False))
    return {wish.path: wish.value for wish in found}


def test_settings_come_along_under_their_names_here() -> None:
    found = asked(
        lidarrEnabled="true",
        lidarrApiKey=sealed(SECRET),
        lidarrQualityProfileId="3",
        downloadSource="lidarr",
        lidarrUrl=None,
    )

    assert found == {
        "lidarr.enabled": True,
        "lidarr.apiKey": SECRET,
        "lidarr.qualityProfileId": 3,
        "acquisition.source": "LIDARR",
    }


@pytest.mark.parametrize("key", [None, "another key", KEY[:-1]])
def test_a_key_that_opens_nothing_is_refused_before_anything_is_done(key: str | None) -> None:
    with pytest.raises(UnusableKimaKey, match="SETTINGS_ENCRYPTION_KEY"):
        asked(key=key, lidarrApiKey=sealed(SECRET), soulseekPassword=sealed(SECRET))


@pytest.mark.parametrize(
    "stored",
    ["half:encrypted", sealed(SECRET)[:-2], sealed(SECRET, "an older key")],
    ids=["half", "cut off", "by an older key"],  # what is sealed is another text each time
)
def test_a_secret_that_cannot_be_read_is_told_and_left_out(stored: str) -> None:
    report = Report(dry_run=False)

    found = asked(report, lidarrApiKey=stored, soulseekPassword=sealed("other"))

    assert found == {"soulseek.password": "other"}
    assert [(each.column, each.why.startswith("skipped")) for each in report.remarks] == [("lidarrApiKey", True)]
    assert SECRET not in repr(report)


def test_a_secret_in_plain_text_comes_along_and_is_told() -> None:
    report = Report(dry_run=False)

    assert asked(report, soulseekPassword=SECRET) == {"soulseek.password": SECRET}
    assert "plain text" in report.remarks[0].why
    assert SECRET not in repr(report)


def test_what_lockgroove_does_not_know_is_told() -> None:
    report = Report(dry_run=False)

    assert asked(report, openaiModel="gpt-4") == {}
    assert report.of("settings").skipped == 1
