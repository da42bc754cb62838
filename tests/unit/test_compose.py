"""The Compose files and the Dockerfile: what both generations of Docker Compose read, and what the settings say."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from dotenv import dotenv_values

from tests.compose.dlt_booth import NEEDED
from tests.helpers.odd_server import closed_port
from tests.servers.kafka import IMAGE as KAFKA_IMAGE
from topology import settings
from topology.runner.up import LINKS
from topology.settings import Settings

ROOT = Path(__file__).parents[2]
FILES = ("docker-compose.yml", "docker-compose.override.yml")
TEXTS = {name: (ROOT / name).read_text() for name in FILES}
BASE, SANDBOX = (yaml.safe_load(TEXTS[name]) for name in FILES)
SERVICES: dict[str, dict[str, Any]] = {
    f"{file}:{name}": service
    for file, content in zip(FILES, (BASE, SANDBOX), strict=True)
    for name, service in content["services"].items()
}
# The others only add to a service of the first file.
WHOLE_SERVICES = {name: service for name, service in SERVICES.items() if "image" in service}
DOCKERFILE = (ROOT / "Dockerfile").read_text()

# What Docker Compose v2 knows and docker-compose 1.29 rejects, or silently leaves out.
_REJECTED_AT_TOP = {"name", "include", "configs"}
_REJECTED_IN_SERVICE = {"develop", "configs", "attach", "annotations", "post_start", "pre_stop", "provider"}

_OF_THE_RUNNER = {"SUBPROCESS_HEALTH_CHECK_INTERVAL", "SANDBOX_OFFERINGS", "SANDBOX_SEED"}
# Compose says these itself: where the list of nodes is mounted, and where the gateway is published.
_OF_COMPOSE = {"CATALOGUE_LIST", "HOST_ADDRESS", "HOST_PORT"}


def _example() -> dict[str, str | None]:
    text = (ROOT / "examples" / "example.env").read_text()
    return dict(dotenv_values(stream=StringIO(re.sub(r"^#(?=[A-Z][A-Z0-9_]*=)", "", text, flags=re.MULTILINE))))


def _aliases(service: dict[str, Any]) -> list[str]:
    return list(service.get("networks", {}).get("default", {}).get("aliases", []))


def _merged(name: str) -> dict[str, Any]:
    """Lay the sandbox's file over the other, and return the environment of a service."""
    return {**BASE["services"][name]["environment"], **SANDBOX["services"][name]["environment"]}


# What both generations read


@pytest.mark.parametrize("content", [BASE, SANDBOX], ids=FILES)
def test_top_level_is_read_by_both_generations(content: dict[str, Any]) -> None:
    keys = {key for key in content if not key.startswith("x-")}

    assert not keys & _REJECTED_AT_TOP
    assert keys <= {"services", "volumes", "networks", "secrets"}


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_service_is_read_by_both_generations(service: dict[str, Any]) -> None:
    assert not service.keys() & _REJECTED_IN_SERVICE
    assert "start_interval" not in service.get("healthcheck", {})
    assert all(isinstance(port, str) for port in service.get("ports", []))
    assert all(condition.keys() == {"condition"} for condition in service.get("depends_on", {}).values())
    assert "pids" not in service.get("deploy", {}).get("resources", {}).get("limits", {})
    assert isinstance(service.get("env_file", ""), str)


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_environment_holds_no_booleans(service: dict[str, Any]) -> None:
    wrong = {name: value for name, value in service.get("environment", {}).items() if isinstance(value, bool)}

    assert wrong == {}


@pytest.mark.parametrize("text", TEXTS.values(), ids=FILES)
def test_no_default_stands_within_a_default_and_no_tag_is_used(text: str) -> None:
    code = re.sub(r"(^|\s)#.*", "", text)

    assert not re.search(r"\$\{[^}]*\$", code)
    assert not re.search(r"!(override|reset)\b", code)


def test_dockerfile_builds_without_buildkit() -> None:
    assert not re.search(r"^#\s*syntax\s*=", DOCKERFILE, re.MULTILINE)
    assert not re.search(
        r"^(RUN|COPY|ADD)\b.*(\s--(mount|chmod|link|parents|exclude|network|security)\b|<<)", DOCKERFILE, re.M
    )


# What the services are


def test_every_link_is_a_service() -> None:
    commands = {name: BASE["services"][name]["command"] for name in LINKS}

    assert commands == {name: ["python", "-m", f"links.{name}", "--host", "0.0.0.0"] for name in LINKS}
    assert all((ROOT / "links" / f"{name}.py").is_file() for name in LINKS)


@pytest.mark.parametrize("service", WHOLE_SERVICES.values(), ids=WHOLE_SERVICES)
def test_services_run_within_limits(service: dict[str, Any]) -> None:
    only_checks = "dlt-booth-settings" in str(service.get("entrypoint"))
    assert service["restart"] == ("no" if only_checks else "unless-stopped")
    assert service["mem_limit"]
    assert service["stop_grace_period"]
    assert service["logging"]["options"]["max-size"]


@pytest.mark.parametrize("service", WHOLE_SERVICES.values(), ids=WHOLE_SERVICES)
def test_images_are_pinned_and_name_no_registry(service: dict[str, Any]) -> None:
    image = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", service["image"])
    repository, _, tag = image.partition(":")

    assert "." not in repository.split("/")[0]
    assert re.search(r"\d", tag) or repository in ("catena", "dlt-booth")


def test_kafka_is_the_one_that_the_tests_run() -> None:
    assert BASE["services"]["kafka"]["image"] == KAFKA_IMAGE


def test_names_in_the_settings_are_names_in_the_network() -> None:
    defaults = Settings()
    booth = urlsplit(defaults.dlt_base_url)

    assert defaults.redis_host in _aliases(BASE["services"]["redis"])
    assert booth.hostname in BASE["services"]
    assert booth.hostname in _aliases(SANDBOX["services"]["sandbox-booth"])
    endpoint = re.sub(r".*:-(.*)\}", r"\1", BASE["services"]["fetcher"]["environment"]["KAFKA_ENDPOINT"])
    assert BASE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{endpoint}"


def test_kafka_takes_the_largest_description() -> None:
    limit = BASE["services"]["kafka"]["environment"]["KAFKA_MESSAGE_MAX_BYTES"]

    assert limit > 2 * Settings().offering_max_bytes


# What reaches them


@pytest.mark.parametrize("name", LINKS)
def test_links_get_every_setting_that_is_set_and_none_that_is_not(name: str) -> None:
    environment = BASE["services"][name]["environment"]
    known = {field.name.upper() for field in dataclasses.fields(Settings)}

    passed_on = {variable for variable, value in environment.items() if value is None}
    assert passed_on == known - _OF_THE_RUNNER - _OF_COMPOSE
    assert "CATALOGUE_LIST" not in environment


@pytest.mark.parametrize("name", LINKS)
def test_links_find_the_list_of_nodes_under_their_own_default(name: str) -> None:
    folder = re.findall(r"^WORKDIR (\S+)", DOCKERFILE, re.MULTILINE)[-1]
    expected = str(Path(folder) / Settings().catalogue_list)

    for content in (BASE, SANDBOX):
        mount = content["services"][name]["volumes"][0]
        assert (mount["type"], mount["target"], mount["read_only"]) == ("bind", expected, True)
    assert (ROOT / SANDBOX["services"][name]["volumes"][0]["source"]).samefile(ROOT / "examples/catalogue_list.json")


def test_gateway_is_published_where_the_settings_say() -> None:
    gateway = BASE["services"]["gateway"]
    defaults = Settings()

    assert gateway["ports"] == [
        f"${{HOST_ADDRESS:-{defaults.host_address}}}:${{HOST_PORT:-{defaults.host_port}}}:"
        f"{gateway['environment']['HOST_PORT']}"
    ]
    assert gateway["environment"]["HOST_ADDRESS"] == "0.0.0.0"


def test_what_stands_in_for_a_missing_variable_is_what_the_example_says() -> None:
    example = _example()
    without_file = {"CATALOGUE_LIST", "DLT_BOOTH_DB_SCHEMA"}
    used = {match for text in TEXTS.values() for match in re.findall(r"\$\{(\w+):-([^}]*)\}", text)}

    assert {name for name, _ in used} <= example.keys()
    assert {name: default for name, default in used if name not in without_file} == {
        name: example[name] for name, _ in used if name not in without_file
    }
    assert {name: default for name, default in used if name in without_file} == dict.fromkeys(without_file, "/dev/null")


def test_dlt_booth_gets_each_of_its_variables() -> None:
    environment = BASE["services"]["dlt-booth"]["environment"]
    given = {name for name in _example() if name.startswith("DLT_")}
    given -= {"DLT_BASE_URL", "DLT_BOOTH_IMAGE", "DLT_BOOTH_DB_SCHEMA"}

    for name in given:
        assert f"${{{name}:-" in environment[re.sub(r"^DLT_(BOOTH_)?", "", name)]


def test_settings_that_the_dlt_booth_cannot_do_without_are_those_that_the_example_calls_needed() -> None:
    example = (ROOT / "examples" / "example.env").read_text()
    needed = set(re.findall(r"needed, no default\.\n(DLT_\w+)=", example))

    assert set(NEEDED) == needed
    assert BASE["services"]["dlt-booth-settings"]["environment"] == {name: f"${{{name}:-}}" for name in NEEDED}
    assert "dlt-booth-settings" in BASE["services"]["dlt-booth-db"]["depends_on"]


@pytest.mark.parametrize("missing", [NEEDED, NEEDED[-1:], []])
def test_settings_of_the_dlt_booth_that_are_missing_are_named(missing: list[str]) -> None:
    given = {name: "" if name in missing else "a b*$" for name in NEEDED}
    script = ROOT / "deploy" / "docker" / "dlt-booth-settings"
    done = subprocess.run(["sh", script], env={"PATH": os.environ["PATH"], **given}, capture_output=True, text=True)

    assert done.returncode == bool(missing)
    assert re.findall(r"\bDLT_[A-Z_]+", done.stderr) == missing
    assert (".env" in done.stderr) == bool(missing)


def test_what_is_not_for_all_runs_only_when_asked_for() -> None:
    profiles = {name: service["profiles"] for name, service in BASE["services"].items() if "profiles" in service}

    assert profiles == {
        "dlt-booth": ["dlt", "dlt-booth"],
        "dlt-booth-db": ["dlt", "dlt-booth"],
        "dlt-booth-settings": ["dlt", "dlt-booth"],
        "kafka-2": ["kafka-cluster"],
        "kafka-3": ["kafka-cluster"],
        "prometheus": ["observability"],
        "grafana": ["observability"],
        "global-catalogue": ["global-catalogue"],
    }


def _mebibytes(text: str) -> int:
    return int(text[:-1]) * {"m": 1, "g": 1024}[text[-1]]


def test_memory_of_a_gateway_has_room_for_its_evaluators() -> None:
    gateway = BASE["services"]["gateway"]
    limit = _mebibytes(re.sub(r".*:-(.*)\}", r"\1", gateway["mem_limit"]))

    assert Settings().sparql_workers * Settings().sparql_memory + 1024 <= limit


@pytest.mark.parametrize("service", WHOLE_SERVICES.values(), ids=WHOLE_SERVICES)
def test_health_checks_start_no_interpreter(service: dict[str, Any]) -> None:
    check = service.get("healthcheck", {}).get("test", [])

    assert not {"python", "python3", "java"} & set(check)
    assert service["image"] != "${CATENA_IMAGE:-catena}" or check[:2] == ["CMD", "healthy"]


@pytest.mark.parametrize("number", ["", "-2", "-3"])
def test_brokers_of_a_cluster_differ_in_name_number_and_data_alone(number: str) -> None:
    first, broker = BASE["services"]["kafka"], BASE["services"][f"kafka{number}"]
    (voters,) = re.findall(r"For three.*: (1@kafka:\S+),", (ROOT / "examples/example.env").read_text())
    own = {
        "KAFKA_NODE_ID": int(number[1:] or 1),
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://kafka{number}:9092",
    }

    assert broker["environment"] == {**first["environment"], **own}
    assert f"{own['KAFKA_NODE_ID']}@kafka{number}:9093" in voters.split(",")
    assert broker["volumes"][0] == f"kafka{number}-data:/var/lib/kafka/data"


@pytest.mark.parametrize(
    ("status", "expected"), [(b"HTTP/1.0 200 OK", 0), (b"HTTP/1.1 503 Unwell", 1), (b"nonsense", 1)]
)
def test_healthy_is_the_status_of_the_server(status: bytes, expected: int) -> None:
    with answering(status + b"\r\n\r\n", b"\r\n\r\n") as (port, asked):
        done = subprocess.run([ROOT / "deploy/docker/healthy", str(port), "/healthz"], check=False, timeout=120)

    assert done.returncode == expected
    assert asked[0].startswith(b"GET /healthz HTTP/1.0\r\n")


def test_healthy_fails_where_nothing_serves() -> None:
    done = subprocess.run(
        [ROOT / "deploy/docker/healthy", str(closed_port()), "/"], check=False, timeout=120, capture_output=True
    )

    assert done.returncode == 1


# An answer to Metadata, version 1: length, correlation id, number of brokers, and what the check does not read.
@pytest.mark.parametrize(("brokers", "expected"), [(0, 1), (1, 0), (3, 0)])
def test_kafka_is_healthy_once_it_names_a_broker(tmp_path: Path, brokers: int, expected: int) -> None:
    program = (ROOT / "deploy/docker/kafka-healthy").read_text()
    with answering(struct.pack(">iii", 8, 1, brokers), b"\xff\xff\0\0\0\0") as (port, asked):
        done = subprocess.run(["bash", "-c", program.replace("/9092", f"/{port}")], check=False, timeout=120)

    assert done.returncode == expected
    assert struct.unpack(">ihhih", asked[0][:14]) == (14, 3, 1, 1, -1)


@contextmanager
def answering(answer: bytes, end: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Serve one connection with an answer, once its request has ended; give the port, and the request."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            request = b""
            while not request.endswith(end) and (part := connection.recv(1000)):
                request += part
            asked.append(request)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], asked
        thread.join(60)


# The sandbox


def test_sandbox_adds_to_links_that_exist() -> None:
    own = {name for name, service in SANDBOX["services"].items() if "image" in service}

    assert SANDBOX["services"].keys() - own == set(LINKS)
    assert not own & BASE["services"].keys()


def test_sandbox_runs_the_nodes_of_the_example_list() -> None:
    listed = json.loads((ROOT / "examples/catalogue_list.json").read_text())

    for entry in listed.values():
        node = urlsplit(entry["catalogue_url"])
        command = SANDBOX["services"][node.hostname]["command"]
        assert command[command.index("--port") + 1] == str(node.port)


@pytest.mark.parametrize("name", LINKS)
def test_sandbox_settings_can_be_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT / "examples")
    variables = {
        variable: re.sub(r".*:-(.*)\}", r"\1", str(value))
        for variable, value in _merged(name).items()
        if value is not None
    }

    loaded = settings.load(environment=variables, file=os.devnull)
    assert loaded.mode is settings.Mode.OPERATOR
    booth = SANDBOX["services"]["sandbox-booth"]["command"]
    assert loaded.dlt_base_url == f"{booth[booth.index('--public-url') + 1]}/api"
