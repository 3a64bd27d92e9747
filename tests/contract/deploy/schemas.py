"""What files for other programs may say, by the schemas that come with check-jsonschema."""

import json
from importlib.resources import files
from pathlib import Path

import yaml
from jsonschema import validators  # type: ignore[import-untyped] # has no stubs here


def problems(schema: str, file: Path) -> list[str]:
    """Where the YAML file is not as the schema (`compose-spec`, `github-workflows`, `dependabot`) has it."""
    rules = json.loads((files("check_jsonschema") / "builtin_schemas" / "vendor" / f"{schema}.json").read_text())
    # YAML 1.1 reads the key `on` as true.
    document = {("on" if key is True else key): value for key, value in yaml.safe_load(file.read_text()).items()}
    return [error.message for error in validators.validator_for(rules)(rules).iter_errors(document)]
