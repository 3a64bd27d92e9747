"""The manifests are valid, closed by default, and name nothing that is not there."""

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # has no annotations
import pytest

from deploy.cli.environment.names import COMMANDS, PROCESS
from deploy.cli.running.supervisor import STOP_GRACE
from deploy.container.entrypoint import SERVICES
from deploy.release.version import declared_version
from libs.telemetry.exposition import OFFSET
from services.config.catalogue import load_catalogue
from tests.contract.deploy.kustomize import Manifest, documents, pods, render
from tests.contract.docs.pages import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("small", "production")
EACH = pytest.mark.parametrize("overlay", OVERLAYS)
RELEASE = kubernetes_validate.latest_version()


@cache
def rendered(overlay: str) -> list[Manifest]:
    return render(FOLDER / "overlays" / overlay)


def of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in rendered(overlay) if each["kind"] == kind}


def templates(overlay: str) -> dict[str, Manifest]:
    """The pods, by who makes them."""
    return {each["metadata"]["name"]: template for each in rendered(overlay) for template in pods(each)}


def container(template: Manifest) -> dict[str, Any]:
    [only] = template["spec"]["containers"]
    return dict(only)


def matches(selector: Manifest, template: Manifest) -> bool:
    labels = template["metadata"]["labels"]
    return all(labels.get(name) == value for name, value in selector.items())


@EACH
def test_every_manifest_is_what_kubernetes_understands(overlay: str) -> None:
    for manifest in rendered(overlay):
        kubernetes_validate.validate(manifest, RELEASE, strict=True)


def test_the_example_of_a_secret_is_what_kubernetes_understands() -> None:
    for manifest in documents(FOLDER / "base" / "secret.example.yaml"):
        kubernetes_validate.validate(manifest, RELEASE, strict=True)


def test_every_file_is_part_of_a_kustomization_but_for_the_example() -> None:
    listed: set[Path] = set()
    for file in FOLDER.rglob("kustomization.yaml"):
        listed |= {(file.parent / name).resolve() for name in documents(file)[0]["resources"]} | {file}

    assert {*FOLDER.rglob("*.yaml")} - listed == {FOLDER / "base" / "secret.example.yaml"}


@EACH
def test_no_two_manifests_have_one_name(overlay: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in rendered(overlay)]

    assert len(names) == len(set(names))


@EACH
def test_every_service_runs_as_itself_with_its_image_pinned(overlay: str) -> None:
    made = templates(overlay)

    assert made.keys() == {*SERVICES, "migrate", "backup"}
    for name, template in made.items():
        assert container(template)["image"] == f"lockgroove:{declared_version()}"
        assert container(template)["args"][0] == name


@EACH
def test_nothing_may_more_than_it_needs(overlay: str) -> None:
    for template in templates(overlay).values():
        pod, own = template["spec"], container(template)["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert own["readOnlyRootFilesystem"]
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= container(template)["resources"].keys()


def variables(template: Manifest) -> Iterator[tuple[str, Manifest]]:
    for each in container(template)["env"]:
        yield each["name"], each


@EACH
def test_every_variable_is_read_and_every_key_is_there(overlay: str) -> None:
    known = PROCESS | COMMANDS | {spec.environment for spec in load_catalogue()} | {"TZ"}
    secrets = {each["metadata"]["name"]: each["stringData"] for each in documents(FOLDER / "base/secret.example.yaml")}
    maps = of_kind(overlay, "ConfigMap")
    assert set(maps["lockgroove"]["data"]) | set(secrets["lockgroove-settings"]) <= known

    for template in templates(overlay).values():
        for name, value in variables(template):
            assert name in known
            if reference := value.get("valueFrom", {}).get("secretKeyRef"):
                assert reference["key"] in secrets[reference["name"]]
        for source in container(template)["envFrom"]:
            assert source.get("configMapRef", {"name": "lockgroove"})["name"] in maps
            assert source.get("secretRef", {"name": "lockgroove"})["name"] in secrets


@EACH
def test_the_root_key_is_mounted_where_it_is_read(overlay: str) -> None:
    named = of_kind(overlay, "ConfigMap")["lockgroove"]["data"]["LOCKGROOVE_SECRET_KEY_FILE"]
    [secret, _] = documents(FOLDER / "base" / "secret.example.yaml")

    for template in templates(overlay).values():
        [volume] = [each["secret"] for each in template["spec"]["volumes"] if "secret" in each]
        [mount] = [each for each in container(template)["volumeMounts"] if each["name"] == "root-key"]
        [item] = volume["items"]
        assert f"{mount['mountPath']}/{item['path']}" == named
        assert volume["secretName"] == secret["metadata"]["name"]
        assert item["key"] in secret["stringData"]
        assert volume["defaultMode"] == 0o440  # nobody else's, and readable by the group that fsGroup makes it


@EACH
def test_every_mount_has_its_volume_and_every_claim_is_made(overlay: str) -> None:
    for template in templates(overlay).values():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        mounts = {mount["name"]: mount["mountPath"] for mount in container(template)["volumeMounts"]}
        claims = {
            each["persistentVolumeClaim"]["claimName"]
            for each in volumes.values()
            if "emptyDir" not in each and "secret" not in each
        }
        assert volumes.keys() == mounts.keys()
        assert claims <= of_kind(overlay, "PersistentVolumeClaim").keys()
        assert {"/config", "/tmp"} <= set(mounts.values())
    for name in ("config", "migrate", "backup"):
        assert "/config/backups" in {each["mountPath"] for each in container(templates(overlay)[name])["volumeMounts"]}
    mounted = {each["mountPath"] for each in container(templates(overlay)["acquisition"])["volumeMounts"]}
    assert {"/downloads", "/music"} <= mounted


def test_no_two_pods_wait_for_a_volume_of_one_node() -> None:
    modes = {name: it["spec"]["accessModes"] for name, it in of_kind("small", "PersistentVolumeClaim").items()}
    assert set(map(tuple, modes.values())) == {("ReadWriteOnce",)}

    for name, template in templates("small").items():
        mounting = any("persistentVolumeClaim" in volume for volume in template["spec"]["volumes"])
        if deployment := of_kind("small", "Deployment").get(name):
            assert (deployment["spec"]["strategy"] == {"type": "Recreate"}) is mounting, name
        else:
            [beside] = template["spec"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
            selector = beside["podAffinityTerm"]["labelSelector"]["matchLabels"]
            assert [other for other, each in templates("small").items() if matches(selector, each)] == ["config"]


@EACH
def test_services_have_longer_to_stop_than_they_take(overlay: str) -> None:
    for name in SERVICES:
        assert templates(overlay)[name]["spec"]["terminationGracePeriodSeconds"] > STOP_GRACE


@EACH
def test_selectors_select_their_own_pods_and_nobody_elses(overlay: str) -> None:
    made = templates(overlay)
    for kind in ("Deployment", "PodDisruptionBudget"):
        for name, each in of_kind(overlay, kind).items():
            selector = each["spec"]["selector"]["matchLabels"]
            assert [other for other, template in made.items() if matches(selector, template)] == [name]
    for name, each in of_kind(overlay, "Service").items():
        [selected] = [other for other, template in made.items() if matches(each["spec"]["selector"], template)]
        assert selected == {"peers": "acquisition"}.get(name, name)
        named = {port["name"] for port in container(made[selected])["ports"]}
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= named


@EACH
def test_addresses_lead_to_services_and_ports_that_are_there(overlay: str) -> None:
    told = of_kind(overlay, "ConfigMap")["lockgroove"]["data"]
    services = of_kind(overlay, "Service")

    for service in ("acquisition", "webhooks", "config"):
        host, _, port = told[f"LOCKGROOVE_{service.upper()}_LISTEN"].partition(":")
        own = {value["name"]: value for value in container(templates(overlay)[service])["env"]}
        assert host == service
        assert own[f"LOCKGROOVE_{service.upper()}_LISTEN"]["value"] == f"0.0.0.0:{port}"
        spec = services[service]["spec"]
        assert spec["clusterIP"] == "None"  # clients balance by the addresses that DNS tells
        assert {each["name"]: each["port"] for each in spec["ports"]} == {
            "grpc": int(port),
            "metrics": int(port) + OFFSET,
        }
    assert told["LOCKGROOVE_HOST"] in services
    assert services["gateway"]["spec"]["ports"][0]["port"] == int(told["LOCKGROOVE_PORT"])


@EACH
def test_probes_and_scrapes_ask_where_something_answers(overlay: str) -> None:
    for name, deployment in of_kind(overlay, "Deployment").items():
        [template] = pods(deployment)
        it = container(template)
        ports = {port["name"]: port["containerPort"] for port in it["ports"]}
        asked = [it[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
        if name == "gateway":
            assert [probe["httpGet"]["path"] for probe in asked] == ["/api/live", "/api/ready", "/api/live"]
            assert {probe["httpGet"]["port"] for probe in asked} == {"http"}
        else:
            assert [probe["grpc"]["port"] for probe in asked[:2]] == [ports["grpc"]] * 2
        scraped = template["metadata"]["annotations"]["prometheus.io/port"]
        assert int(scraped) == ports.get("metrics", ports.get("http"))


def callers() -> dict[str, set[str]]:
    """Who calls whom, as the settings of the services have it."""
    found: dict[str, set[str]] = {name: set() for name in ("acquisition", "webhooks", "config")}
    for caller in SERVICES:
        named = {field.name for field in fields(import_module(f"services.{caller}.settings").Settings)}
        for called in found.keys() & named:
            found[called].add(caller)
    return found


@EACH
def test_only_who_calls_a_service_reaches_it(overlay: str) -> None:
    policies = of_kind(overlay, "NetworkPolicy")
    component = "app.kubernetes.io/component"

    assert policies["default-deny"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for service, expected in callers().items():
        spec = policies[service]["spec"]
        [grpc] = [port["port"] for port in spec["ingress"][0]["ports"]]
        assert matches(spec["podSelector"]["matchLabels"], templates(overlay)[service])
        assert {each["podSelector"]["matchLabels"][component] for each in spec["ingress"][0]["from"]} == expected
        assert grpc in [port["containerPort"] for port in container(templates(overlay)[service])["ports"]]
    reached = [
        each["to"][0]["podSelector"]["matchLabels"][component] for each in policies["gateway"]["spec"]["egress"][:3]
    ]
    assert set(reached) == callers().keys()


def test_what_is_busy_gets_more_replicas_which_nobody_else_counts() -> None:
    scaled = of_kind("production", "HorizontalPodAutoscaler")
    deployments = of_kind("production", "Deployment")

    assert scaled.keys() == {"gateway", "webhooks"}
    for name, each in scaled.items():
        assert each["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployments[name]["spec"]
        assert "cpu" in container(templates("production")[name])["resources"]["requests"]
    assert {name: it["spec"].get("replicas") for name, it in deployments.items() if name not in scaled} == {
        "config": 2,
        "acquisition": 2,
    }


def test_secrets_are_in_no_kustomization() -> None:
    for overlay in OVERLAYS:
        assert of_kind(overlay, "Secret") == {}
    assert not re.search(r"(?i)password|postgresql://", (FOLDER / "base" / "config-map.yaml").read_text())
