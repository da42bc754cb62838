"""What the examples' Compose files and READMEs say fits each other, the programs, and both generations of Docker Compose."""

import re

import pytest
import yaml
from click.testing import CliRunner

from tests.helpers.examples import EXAMPLES, NAMES, load
from tests.servers.kafka import IMAGE as KAFKA_IMAGE

ROOT = EXAMPLES.parent
TEXTS = {name: (EXAMPLES / name / "docker-compose.yml").read_text() for name in NAMES}
FILES = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
READMES = {name: (EXAMPLES / name / "README.md").read_text() for name in NAMES}
SERVICES = {f"{name}:{key}": service for name, file in FILES.items() for key, service in file["services"].items()}
LINKS = {name: service for name, service in SERVICES.items() if "build" in service}
TRY = load("try")


def programs(name):
    """Find the programs of an example: its files that can be run."""
    return {path.stem for path in (EXAMPLES / name).glob("*.py") if "__main__" in path.read_text()}


# Compose files


@pytest.mark.parametrize("name", NAMES)
def test_compose_files_use_only_what_both_generations_read(name):
    code = re.sub(r"(^|\s)#.*", "", TEXTS[name])

    assert {key for key in FILES[name] if not key.startswith("x-")} == {"services", "volumes"}
    assert not re.search(r"\$\{[^}]*\$", code), "a default within a default"
    assert not re.search(r"!(override|reset)\b", code)


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_services_are_limited_and_read_by_both_generations(service):
    known = {"image", "build", "init", "restart", "stop_grace_period", "mem_limit", "logging", "environment", "volumes"}

    assert service.keys() <= known | {"working_dir", "depends_on", "command", "healthcheck"}
    assert service["mem_limit"] and service["stop_grace_period"] and service["logging"]["options"]["max-size"]
    assert not [value for value in service["environment"].values() if isinstance(value, bool)]
    assert all(condition.keys() == {"condition"} for condition in service.get("depends_on", {}).values())
    assert "start_interval" not in service.get("healthcheck", {})


@pytest.mark.parametrize("name", NAMES)
def test_kafka_is_the_one_that_the_tests_run(name):
    kafka = FILES[name]["services"]["kafka"]

    assert kafka["image"] == KAFKA_IMAGE
    assert kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://kafka:9092"


@pytest.mark.parametrize("service", LINKS.values(), ids=LINKS)
def test_links_run_in_the_image_of_the_project_and_find_their_programs(service):
    folder = EXAMPLES / service["working_dir"].removeprefix("/examples/")
    (mount,) = service["volumes"]
    command = service["command"].split()

    assert (folder / service["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    assert ((folder / mount["source"]).resolve(), mount["target"], mount["read_only"]) == (EXAMPLES, "/examples", True)
    assert command[0] == "python"
    assert (folder / command[1]).is_file()
    assert service["environment"]["KAFKA_ENDPOINT"] == "kafka:9092"


@pytest.mark.parametrize("name", NAMES)
def test_every_program_is_a_service_and_starts_when_the_topics_are_there(name):
    services = {key: service for key, service in FILES[name]["services"].items() if key not in ("kafka", "topics")}

    assert {key.replace("-", "_") for key in services} == programs(name)
    for key, service in services.items():
        assert service["command"].split()[1] == f"{key.replace('-', '_')}.py"
        assert service["depends_on"] == {"topics": {"condition": "service_completed_successfully"}}


@pytest.mark.parametrize("name", NAMES)
def test_settings_reach_the_links(name):
    sources = "".join((EXAMPLES / name / f"{program}.py").read_text() for program in programs(name))
    settings = set(re.findall(r'environ\.get\("(\w+)"', sources))

    for key, service in FILES[name]["services"].items():
        if key != "kafka":
            assert service["environment"].keys() == settings | {"KAFKA_ENDPOINT"}


# Topics


@pytest.mark.parametrize("name", NAMES)
def test_topics_are_the_same_with_compose_and_without(name):
    words = FILES[name]["services"]["topics"]["command"].split()[2:]
    specs = [load("create_topics").read_spec(word) for word in words]
    defaults = set()
    for program in programs(name):
        text = (EXAMPLES / name / f"{program}.py").read_text()
        for topics in re.findall(r"^    (?:in|out)puts = \(([^)]*)\)", text, re.MULTILINE):
            defaults.update(re.findall(r'"([^"]+)"', topics))

    assert {spec.name: spec.partitions for spec in specs} == TRY.TOPICS[name]
    assert defaults == TRY.TOPICS[name].keys()
    assert " ".join(words) in READMES[name]


def test_the_state_of_the_word_count_is_kept_for_ever():
    assert "counts:4:compacted" in FILES["wordcount"]["services"]["topics"]["command"]


@pytest.mark.parametrize("text", ["words", "words:", "words:0", ":4", "words:4:kept", "words:four"])
def test_a_topic_that_is_not_well_described_is_refused(text):
    result = CliRunner().invoke(load("create_topics").main, ["-k", "127.0.0.1:1", text])

    assert result.exit_code == 2
    assert "should be NAME:PARTITIONS" in result.output


# READMEs


@pytest.mark.parametrize("name", NAMES)
def test_readme_shows_every_program_and_none_that_is_not_there(name):
    shown = set(re.findall(r"python (\w+)\.py", READMES[name]))

    assert shown == programs(name)
    assert set(re.findall(r"\]\((\w+)\.py\)", READMES[name])) == {path.stem for path in (EXAMPLES / name).glob("*.py")}


@pytest.mark.parametrize("name", NAMES)
def test_readme_begins_with_the_way_that_needs_nothing_but_python(name):
    first = re.search(r"```sh\n(.*?)```", READMES[name], re.DOTALL).group(1)

    assert f"python examples/try.py {name}" in first
    assert set(TRY.PROGRAMS[name]) == programs(name)


def test_the_index_lists_every_example():
    index = (EXAMPLES / "README.md").read_text()

    assert set(re.findall(r"\]\((\w+)/README\.md\)", index)) == set(NAMES)
    assert set(re.findall(r"`([\w.]+\.(?:py|env|json))`", index)) <= {path.name for path in EXAMPLES.iterdir()}
