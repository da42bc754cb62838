"""The manifests and the unit run the links as they are: their modules, ports, settings and topics."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import yaml

from tests.helpers.documents import ROOT
from topology import topics
from topology.runner.up import LINKS
from topology.settings import Mode, Settings, load

FOLDER = ROOT / "deploy/kubernetes"
KNOWN = {field.name.upper() for field in dataclasses.fields(Settings)} | {"KAFKA_ENDPOINT", "METRICS_PORT"}


def documents(name: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((FOLDER / name).read_text()) if one]


RESOURCES = [one for name in ("base/links.yaml", "base/gateway.yaml") for one in documents(name)]
DEPLOYMENTS = {one["metadata"]["name"]: one for one in RESOURCES if one["kind"] == "Deployment"}
(COMMON,) = documents("base/common.yaml")
(BASE,) = documents("base/kustomization.yaml")


def container(deployment: dict[str, Any]) -> dict[str, Any]:
    (one,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(one)


def test_every_link_is_deployed_once() -> None:
    commands = [container(deployment)["command"] for deployment in DEPLOYMENTS.values()]

    assert sorted(commands) == [["python", "-m", f"links.{name}", "--host", "0.0.0.0"] for name in sorted(LINKS)]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_deployment_selects_its_own_pods_and_gets_the_common_part(name: str) -> None:
    spec = DEPLOYMENTS[name]["spec"]

    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels == {"app.kubernetes.io/component": name}
    assert container(DEPLOYMENTS[name])["name"] == container(COMMON)["name"]
    assert container(DEPLOYMENTS[name])["resources"]["limits"]["memory"]


def test_settings_are_known_and_can_be_used(tmp_path: Any) -> None:
    literals = dict(line.split("=", 1) for line in BASE["configMapGenerator"][0]["literals"])
    mounts = {mount["name"]: mount["mountPath"] for mount in container(COMMON)["volumeMounts"]}
    (file,) = BASE["configMapGenerator"][1]["files"]

    assert literals.keys() <= KNOWN
    assert literals["CATALOGUE_LIST"] == f"{mounts['nodes']}/{file}"
    example = (ROOT / "examples/catalogue_list.json").read_bytes()
    assert (FOLDER / "base" / file).read_bytes() == example
    (tmp_path / file).write_bytes(example)
    assert load({**literals, "CATALOGUE_LIST": str(tmp_path / file)}).mode is Mode.OPERATOR


def test_probes_ask_for_what_links_serve() -> None:
    probes = {name: container(COMMON)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}

    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    (port,) = container(COMMON)["ports"]
    (variable,) = container(COMMON)["env"]
    assert {probe["port"] for probe in probes.values()} == {port["name"]}
    assert (variable["name"], variable["value"]) == ("METRICS_PORT", str(port["containerPort"]))


def laid_over(one: Any, patch: Any) -> Any:
    """Lay a patch over a resource, as kustomize does: entries with the same name are one."""
    if isinstance(one, dict) and isinstance(patch, dict):
        return {**one, **{name: laid_over(one[name], value) if name in one else value for name, value in patch.items()}}
    if isinstance(one, list) and isinstance(patch, list) and all("name" in entry for entry in [*one, *patch]):
        named = {entry["name"]: entry for entry in one}
        return list(laid_over(named, {entry["name"]: entry for entry in patch}).values())
    return patch


@pytest.mark.parametrize("version", ["1.28", "1.32"])
@pytest.mark.parametrize("name", ["base/links.yaml", "base/gateway.yaml", "base/network-policies.yaml"])
def test_resources_are_as_the_schemas_of_kubernetes_say_without_unknown_fields(name: str, version: str) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    for one in documents(name):
        if one["kind"] == "Deployment":
            one = laid_over(one, {**COMMON, "metadata": {}})
        validator.validate(one, version, strict=True)


def test_a_misspelt_field_does_not_pass() -> None:
    validator = pytest.importorskip("kubernetes_validate")
    (one, *_) = documents("base/links.yaml")
    one = laid_over(one, {**COMMON, "metadata": {}})
    one["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(validator.ValidationError, match="livenesProbe"):
        validator.validate(one, "1.32", strict=True)


def test_pods_may_do_no_more_than_the_containers_of_compose() -> None:
    pod, link = COMMON["spec"]["template"]["spec"], container(COMMON)["securityContext"]
    user = re.findall(r"^USER (\d+):", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[-1]

    assert pod["securityContext"]["runAsUser"] == int(user)
    assert (link["readOnlyRootFilesystem"], link["capabilities"]["drop"]) == (True, ["ALL"])
    assert pod["enableServiceLinks"] is False  # else REDIS_PORT=tcp://… for a service called redis


def test_gateway_is_reached_by_its_service_and_has_room_for_its_evaluators() -> None:
    (service,) = [one for one in RESOURCES if one["kind"] == "Service"]
    gateway = container(DEPLOYMENTS["gateway"])
    environment = {one["name"]: one["value"] for one in gateway["env"]}
    (port,) = gateway["ports"]

    assert service["spec"]["ports"][0]["targetPort"] == port["name"]
    assert environment["HOST_PORT"] == str(port["containerPort"])
    limit = int(gateway["resources"]["limits"]["memory"].removesuffix("Gi")) * 1024
    assert Settings().sparql_workers * Settings().sparql_memory + 1024 <= limit


def test_scaled_objects_scale_deployments_within_their_partitions() -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"]: one["spec"] for one in documents("keda/scaled-objects.yaml")}

    assert scaled.keys() <= DEPLOYMENTS.keys()
    assert scaled["writer"]["maxReplicaCount"] <= topics.writes_topic("node").partitions
    assert scaled["fetcher"]["maxReplicaCount"] <= topics.SPECS[0].partitions
    assert scaled["writer"]["triggers"][0]["metadata"]["consumerGroup"] == "Writer"


def test_topics_of_strimzi_are_those_of_the_code() -> None:
    there = {
        one["metadata"]["name"]: (one["spec"]["partitions"], one["spec"].get("config", {}))
        for one in documents("strimzi/topics.yaml")
    }

    assert there == {spec.name: (spec.partitions, spec.configuration) for spec in topics.SPECS}
    # Strimzi 1.0 took the older versions of its API away.
    assert {one["apiVersion"] for one in documents("strimzi/topics.yaml")} == {"kafka.strimzi.io/v1"}


def test_every_folder_of_manifests_is_applied_whole_by_kubectl() -> None:
    folder = ROOT / "deploy/kubernetes"
    for place in sorted(path for path in folder.iterdir() if path.is_dir()):
        (built,) = documents(f"{place.name}/kustomization.yaml")
        own = {path.name for path in place.glob("*.yaml")} - {"kustomization.yaml"}
        named = {*built["resources"], *(patch["path"] for patch in built.get("patches", ()) if "path" in patch)}
        assert own <= named, place


def test_systemd_unit_runs_links_and_waits_for_their_end() -> None:
    unit = (ROOT / "deploy/systemd/catena@.service").read_text()

    assert "-m links.%i\n" in unit
    assert int(re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[0]) >= 15
    assert set(re.findall(r"catena@(\w+)", unit)) >= set(LINKS)


def test_systemd_gives_a_gateway_room_for_its_evaluators() -> None:
    drop_in = (ROOT / "deploy/systemd/catena@gateway.service.d/memory.conf").read_text()
    [gibibytes] = re.findall(r"^MemoryMax=(\d+)G$", drop_in, re.MULTILINE)

    assert Settings().sparql_workers * Settings().sparql_memory + 1024 <= 1024 * int(gibibytes)
