"""The command line of a link: what it takes, and how variables and files add to it."""

import re
import subprocess
import sys
from dataclasses import fields

import pytest
from click.testing import CliRunner

from catena_core.cli import command, environment_properties, property_name, variable_name
from catena_core.errors import UsageError
from catena_core.kafka.properties import SET_BY_LINKS
from catena_core.options import LinkOptions, split_properties
from catena_core.text import redacted
from catena_core.version import __version__
from tests.helpers.command_lines import Copies, read, refusal


def test_a_group_named_on_the_command_line_beats_a_group_of_its_own():
    options, _ = read(["-g", "shared"], uid_consumer_group=True)
    assert (options.consumer_group, options.uid_consumer_group) == ("shared", False)


def test_arguments_of_the_link_reach_it_in_order():
    options, further = read(["first", "-k", "a:1", "second", "--", "--colour", "red", "-i", "last"])
    assert options.kafka_endpoint == "a:1"
    assert further == ["first", "second", "--colour", "red", "-i", "last"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--log-leve", "debug"], "'--log-leve'. Did you mean '--log-level'"),
        (["--metrics-prt=9100"], "one of: '--metrics-port'"),
        (["-k", "a:1", "--colour"], "'--colour'"),
        (["-z"], "'-z'"),
    ],
)
def test_an_unknown_option_is_refused_with_one_that_is_near(arguments, said):
    assert said in refusal(arguments)


def test_variables_set_properties_and_the_command_line_wins():
    variables = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_USERNAME": "ann",
        "KAFKA_LINGER_MS": "7",
        "KAFKA_ENDPOINT": "e:9",
        # What Kubernetes sets for a service called kafka, and the like, names no property.
        "KAFKA_PORT": "tcp://10.0.0.1:9092",
        "KAFKA_HOME": "/opt/kafka",
    }
    options, _ = read(["-X", "linger.ms=8", "-X", "client.id = me"], variables)
    assert options.kafka_endpoint == "e:9"
    assert options.properties == {
        "security.protocol": "SASL_SSL",
        "sasl.username": "ann",
        "linger.ms": "8",
        "client.id": "me",
    }
    assert read(["-k", "b:2"], variables)[0].kafka_endpoint == "b:2"


def test_help_teaches():
    link_command = command("copies", Copies.__doc__ or "", Copies(consumer_group="mine").options, lambda *_: None)
    text = CliRunner(env={"COLUMNS": "110"}).invoke(link_command, ["--help"], prog_name="copies.py").output
    headings = [
        "What it reads and writes:",
        "How it works:",
        "What it serves:",
        "Stores:",
        "Everything else:",
        "Examples:",
    ]
    places = [text.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "Copies what it reads." in text
    for item in fields(LinkOptions):
        for flag in item.metadata["flags"]:
            assert flag.partition("/")[0] in text
    for told in ("[default: in]", "[default: mine]", "[env var: KAFKA_ENDPOINT]", "[default: 127.0.0.1]"):
        assert told in text
    assert "python copies.py -k localhost:9092 -i in -o out" in text
    assert max(map(len, text.splitlines())) <= 110


PROGRAM = """
from catena_core import Link

class Copies(Link):
    inputs = ("in",)

    def transform(self, electron):
        return None

Copies().start()
"""


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "said"),
    [
        (["-X", "colour=red"], {}, 1, 'No such configuration property: "colour"'),
        (["-X", "session.timeout.ms=soon"], {}, 1, 'Invalid value for configuration property "session.timeout.ms"'),
        ([], {"KAFKA_LINGER_MS": "soon"}, 1, "Invalid value for configuration property"),
        (["--rpc-threads", "few"], {}, 2, "num_rpc_threads (--rpc-threads) is a number, not 'few'"),
    ],
)
def test_a_bad_option_ends_the_program_with_one_clear_line(arguments, variables, status, said):
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, "-k", "127.0.0.1:1", *arguments],
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ended.returncode == status
    assert "Traceback" not in ended.stderr
    assert len([line for line in ended.stderr.splitlines() if said in line]) == 1


def test_a_secret_may_be_in_a_file(tmp_path):
    (tmp_path / "secret").write_text("pw-of-the-broker\n")
    options, _ = read([], {"KAFKA_SASL_PASSWORD_FILE": str(tmp_path / "secret"), "KAFKA_LINGER_MS_FILE": "/nowhere"})
    assert options.properties == {"sasl.password": "pw-of-the-broker"}
    assert "pw-of-the-broker" not in repr(options)
    assert redacted("it says pw-of-the-broker") == "it says ***"


def test_a_file_of_a_secret_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv("KAFKA_SASL_PASSWORD_FILE", "/nowhere/secret")
    assert "KAFKA_SASL_PASSWORD_FILE=/nowhere/secret should be a file" in refusal([])


@pytest.mark.parametrize("store", ["redis_endpoint", "mongodb_endpoint"])
def test_passwords_of_stores_are_in_no_help_and_no_line(store):
    options = Copies(**{store: f"{store[:5]}://ada:pw-of-the-store@host"}).options
    link_command = command("copies", "", options, lambda *_: None)
    assert "pw-of" not in CliRunner().invoke(link_command, ["--help"]).output
    assert redacted("it says pw-of-the-store") == "it says ***"
    assert "pw-of" not in redacted(repr(options))


def test_a_variable_is_named_after_its_property():
    for name in ("sasl.username", "ssl.ca.location"):
        assert property_name(variable_name(name)) == name
    assert variable_name("ssl.ca.location") == "KAFKA_SSL_CA_LOCATION"


def test_a_property_with_a_bad_value_is_passed_on_to_the_client_that_names_the_fault():
    assert environment_properties({"KAFKA_LINGER_MS": "soon", "KAFKA_COLOUR": "red"}) == {"linger.ms": "soon"}


def test_a_file_is_read_for_secrets_only(tmp_path):
    (tmp_path / "text").write_bytes(b"first\r\n")
    found = environment_properties(
        {f"KAFKA_{name}_FILE": str(tmp_path / "text") for name in ("SSL_KEY_PASSWORD", "CLIENT_ID", "COLOUR_PASSWORD")}
    )
    assert found == {"ssl.key.password": "first"}


def test_properties_of_the_class_win_over_variables():
    variables = {"KAFKA_LINGER_MS": "7", "KAFKA_CLIENT_ID": "them"}
    options, _ = read([], variables, properties={"client.id": "me"})
    assert options.properties == {"linger.ms": "7", "client.id": "me"}


def test_options_that_do_not_go_together_are_a_mistake_of_the_command_line():
    def check(options):
        raise UsageError("a link that replays has one lane")

    ran = []
    copies = command("copies", "", Copies().options, lambda *_: ran.append(1), check)
    result = CliRunner().invoke(copies, [])
    assert (result.exit_code, ran) == (2, [])
    assert "a link that replays has one lane" in result.output


def test_the_version_is_told():
    result = CliRunner().invoke(command("copies", "", Copies().options, print), ["--version"])
    assert result.output == f"copies, version {__version__}\n"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("KAFKA_SECURITY_PROTOCL", "KAFKA_SECURITY_PROTOCOL"),
        ("KAFKA_SASL_PASWORD_FILE", "KAFKA_SASL_PASSWORD_FILE"),
    ],
)
def test_misspelt_variable_of_a_property_is_told(variable, meant, monkeypatch, capsys):
    monkeypatch.setenv(variable, "SSL")
    monkeypatch.setenv("KAFKA_HEAP_OPTS", "-Xmx1G")
    assert environment_properties() == {}
    assert capsys.readouterr().err == f"Warning: {variable} sets nothing; did you mean {meant}?\n"


@pytest.mark.parametrize("name", SET_BY_LINKS)
def test_a_property_that_links_set_themselves_is_refused_with_what_to_do(name):
    for make in (lambda: Copies(properties={name: "x"}), lambda: split_properties([f"{name}=x"])):
        with pytest.raises(UsageError, match=f"the property {re.escape(name)} .* cannot be set: {SET_BY_LINKS[name]}"):
            make()


def test_a_variable_of_a_property_that_links_set_themselves_sets_nothing_and_says_so(monkeypatch, capsys):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "elsewhere:9092")
    assert environment_properties() == {}
    expected = "Warning: KAFKA_BOOTSTRAP_SERVERS sets nothing; use -k HOST:PORT or KAFKA_ENDPOINT\n"
    assert capsys.readouterr().err == expected


def test_topics_may_be_named_by_comma_or_by_the_option_repeated():
    options, _ = read(["-i", "a,b", "-i", "c", "-o", "d", "--output", "e"])
    assert (options.input_topics, options.output_topics) == (("a", "b", "c"), ("d", "e"))
    options, _ = read(["-i", ""], input_topics="a")
    assert options.input_topics == ()


def test_variables_of_kafka_that_are_no_unicode_are_refused_where_they_set_something():
    with pytest.raises(UsageError, match="KAFKA_CLIENT_ID is no text in UTF-8"):
        environment_properties({"KAFKA_CLIENT_ID": "caf\udce9"})
    assert environment_properties({"KAFKA_HOME": "/srv/caf\udce9"}) == {}
