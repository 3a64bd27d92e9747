"""The environment's values: read by the catalogue, refused by the variable's name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.config.catalogue import load_catalogue
from services.config.domain.environment import BadEnvironment, read_environment
from services.config.rules import ProtoRules

CATALOGUE = load_catalogue()
RULES = ProtoRules(CATALOGUE)


def read(**environ: str) -> dict[str, str]:
    return read_environment(CATALOGUE, environ, RULES)


def test_a_variable_is_the_value_of_its_setting() -> None:
    assert read(LIDARR_URL="http://127.0.0.1:8686", HOME="/root") == {"lidarr.url": "http://127.0.0.1:8686"}


def test_an_empty_variable_counts_as_unset() -> None:
    assert read(LIDARR_QUALITY_PROFILE_ID="") == {}


def test_a_choice_may_be_written_in_small_letters() -> None:
    assert read(DOWNLOAD_SOURCE="lidarr") == {"acquisition.source": "LIDARR"}


def test_a_variable_that_is_no_value_is_named_with_what_is_expected() -> None:
    with pytest.raises(BadEnvironment, match="SOULSEEK_LISTEN_PORT: expected a whole number"):
        read(SOULSEEK_LISTEN_PORT="sixty")


def test_an_address_with_a_password_is_refused_for_addresses_are_shown() -> None:
    with pytest.raises(BadEnvironment, match="LIDARR_URL") as refused:
        read(LIDARR_URL="http://me:hunter2@127.0.0.1:8686")

    assert "hunter2" not in str(refused.value)


def test_a_variable_that_breaks_a_rule_is_named_with_the_rule() -> None:
    with pytest.raises(BadEnvironment, match=r"ACQUISITION_CONCURRENCY: must be .* less than or equal to 10"):
        read(ACQUISITION_CONCURRENCY="11")


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(BadEnvironment) as caught:
        read(LIDARR_URL="ftp://x", LIDARR_POLL_INTERVAL="often")

    assert {each.field for each in caught.value.violations} == {"LIDARR_URL", "LIDARR_POLL_INTERVAL"}


@given(secret=st.text(alphabet="$%&é\x01", min_size=6))
def test_the_value_of_a_wrong_secret_is_never_told(secret: str) -> None:
    with pytest.raises(BadEnvironment) as caught:
        read(LIDARR_WEBHOOK_SECRET=f"{secret} é")

    assert secret not in f"{caught.value!r}{caught.value.violations}"
