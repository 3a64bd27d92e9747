"""What `kubectl kustomize` makes of our overlays, as far as they use it: there is no such program here.

Understood are resources, namespace, images, replicas, and JSON patches by kind and name; anything else is refused.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

_UNDERSTOOD = {"apiVersion", "kind", "resources", "namespace", "images", "replicas", "patches"}
_OF_NO_NAMESPACE = {"Namespace"}


def documents(file: Path) -> list[Manifest]:
    """The manifests of a file."""
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def render(folder: Path) -> list[Manifest]:
    """The manifests that the kustomization of a folder makes."""
    told = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert told.keys() <= _UNDERSTOOD, told.keys() - _UNDERSTOOD
    found = [each for name in told["resources"] for each in _resource(folder / name)]
    for each in found:
        if (namespace := told.get("namespace")) and each["kind"] not in _OF_NO_NAMESPACE:
            each["metadata"]["namespace"] = namespace
    for replicas in told.get("replicas", []):
        [one] = [
            each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"] == replicas["name"]
        ]
        one["spec"]["replicas"] = replicas["count"]
    for patch in told.get("patches", []):
        _patch(found, patch)
    for image in told.get("images", []):
        _name_image(found, image)
    return found


def pods(manifest: Manifest) -> Iterator[Manifest]:
    """The template of the pods of a manifest that makes some."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        yield spec["jobTemplate"]["spec"]["template"]
    elif "template" in spec:
        yield spec["template"]


def _resource(path: Path) -> list[Manifest]:
    return render(path) if path.is_dir() else deepcopy(documents(path))


def _patch(manifests: list[Manifest], patch: Manifest) -> None:
    target = patch["target"]
    chosen = [
        each
        for each in manifests
        if each["kind"] == target["kind"] and re.fullmatch(target.get("name", ".*"), each["metadata"]["name"])
    ]
    assert chosen, f"{target} is nothing that is there"
    for operation in yaml.safe_load(patch["patch"]):
        *steps, last = operation["path"].strip("/").split("/")
        for place in chosen:
            for step in steps:
                place = place[step]
            assert (last in place) == (operation["op"] != "add"), f"{operation['op']} {operation['path']}"
            if operation["op"] == "remove":
                del place[last]
            else:
                place[last] = operation["value"]


def _name_image(manifests: list[Manifest], image: Manifest) -> None:
    for template in (template for each in manifests for template in pods(each)):
        for container in template["spec"]["containers"]:
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image.get('newName', image['name'])}:{image['newTag']}"
