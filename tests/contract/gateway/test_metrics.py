"""Metrics of several services in one text."""

from services.gateway.metrics import merge

FIRST = """# HELP a_total As.
# TYPE a_total counter
a_total{kind="x"} 1.0
a_total{kind="{y} z"} 2.0
# HELP b B.
# TYPE b gauge
b 3.0
"""
SECOND = """# HELP a_total As.
# TYPE a_total counter
a_total{kind="x"} 4.0
"""


def test_samples_of_a_family_stand_together_below_one_head() -> None:
    text = merge({"one": FIRST, "two": SECOND, "three": None})

    assert text.splitlines() == [
        "# HELP a_total As.",
        "# TYPE a_total counter",
        'a_total{service="one",kind="x"} 1.0',
        'a_total{service="one",kind="{y} z"} 2.0',
        'a_total{service="two",kind="x"} 4.0',
        "# HELP b B.",
        "# TYPE b gauge",
        'b{service="one"} 3.0',
        "# HELP lockgroove_up Whether the service answered when asked for its metrics.",
        "# TYPE lockgroove_up gauge",
        'lockgroove_up{service="one"} 1',
        'lockgroove_up{service="two"} 1',
        'lockgroove_up{service="three"} 0',
    ]
