"""`lockgroove cleanup`: a service that could not be asked to begin is never told of as if it had."""

from typing import Any

from deploy.cli.cleanup import running


class Answers:
    """A gateway that could not reach webhooks when the run began, and could afterwards."""

    def post(self, path: str) -> dict[str, Any]:
        return {"reports": [{"service": "config"}, {"service": "webhooks", "problem": "UNAVAILABLE"}]}

    def get(self, path: str) -> dict[str, Any]:
        services = ("config", "webhooks")
        return {"reports": [{"service": each, "endTime": "2026-05-31T02:00:01Z"} for each in services]}


def test_a_service_that_could_not_be_asked_is_a_problem_though_it_answers_later() -> None:
    suite: Any = Answers()

    found = running.run(suite, within=20)

    assert running.problems(found) == ["UNAVAILABLE"]
