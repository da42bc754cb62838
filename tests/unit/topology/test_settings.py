"""Settings: the defaults that the documentation promises, and clear words for every value that cannot be used."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path

import pytest

from catena_core.errors import UsageError
from topology.setting_values import Secret
from topology.settings import Mode, Settings, load

DEFAULTS = {
    "subprocess_health_check_interval": 5.0,
    "operator_provided": False,
    "centralised": False,
    "gc_url": "http://global-catalogue",
    "gc_port": 3030,
    "redis_host": "catalogue-coordinator-redis",
    "redis_port": 6379,
    "redis_db": 0,
    "offering_desc_timeout": 60.0,
    "offering_fetch_interval": 60.0,
    "offering_refresh_interval": 3600.0,
    "node_health_check_interval": 30.0,
    "node_grace_period": 60.0,
    "node_timeout": 10.0,
    "worker_pool_size": 10,
    "host_address": "0.0.0.0",
    "host_port": 3030,
    "sparql_timeout": 60.0,
    "sparql_partial": True,
    "sparql_cache_ttl": None,
    "gateway_view": True,
    "gateway_view_bytes": 2**30,
    "gateway_view_directory": "",
    "sparql_workers": 2,
    "sparql_memory": 4096,
    "sparql_result_max_bytes": 268435456,
    "sparql_services": (),
    "dlt_base_url": "http://dlt-booth:8085/api",
    "hash_ring_virtual_nodes": 150,
    "offering_replica_count": 2,
    "catalogue_list": "./catalogue_list.json",
    "node_url_template": "{scheme}://{host}:3030/catalogue",
    "node_credentials": "",
    "provider_networks": ("auto",),
    "redis_password": Secret(""),
    "redis_tls": False,
}
KINDS = {
    "OPERATOR_PROVIDED": ("maybe", "0 or 1"),
    "CENTRALISED": ("", "0 or 1"),
    "NODE_URL_TEMPLATE": ("{host}", "{scheme}://{host}:3030/catalogue"),
    "NODE_PROTOCOL": ("soap", "auto or sedimark or graph-store"),
    "GC_URL": ("global-catalogue", "http://global-catalogue"),
    "GC_PORT": ("70000", "a whole number from 1 to 65535"),
    "DLT_BASE_URL": ("dlt-booth:8085", "http://host:8085/api"),
    "OFFERING_FETCH_INTERVAL": ("0", "a number of seconds above 0"),
    "OFFERING_MAX_BYTES": ("4 MiB", "a whole number from 1024"),
    "VERIFY_DESCRIPTION_HASH": ("yes", "off or warn or enforce"),
    "WORKER_POOL_SIZE": ("0", "a whole number from 1 to 1000"),
    "OFFERING_REPLICA_COUNT": ("1.5", "a whole number from 1 to 100"),
    "HOST_ADDRESS": ("", "some text"),
    "HOST_PORT": ("-1", "a whole number from 0 to 65535"),
    "SPARQL_PARTIAL": ("some", "0 or 1"),
    "SPARQL_CACHE_TTL": ("-1", "a number of seconds, 0, or auto"),
    "GATEWAY_VIEW": ("on", "0 or 1"),
    "GATEWAY_VIEW_BYTES": ("1 GiB", "a whole number from 1048576"),
    "SPARQL_WORKERS": ("0", "a whole number from 1 to 256"),
    "SPARQL_MEMORY": ("4 GiB", "a whole number from 256"),
    "SPARQL_RESULT_MAX_BYTES": ("0", "a whole number from 1024"),
    "SPARQL_SERVICES": ("http://a.example/sparql", "a.example,b.example:8080"),
    "REDIS_DB": ("zero", "a whole number from 0"),
    "REDIS_TLS": ("rediss", "0 or 1"),
    "PROVIDER_NETWORKS": ("intranet", "auto, or some of loopback, private"),
}


def given(variables: Mapping[str, str] | None = None, **more: str) -> Settings:
    """Return the settings of these variables alone."""
    return load({**(variables or {}), **more}, file="/nowhere/.env")


def refusal(variables: Mapping[str, str] | None = None, **more: str) -> str:
    """Return the complaint about variables that cannot be used."""
    with pytest.raises(UsageError) as refused:
        given(variables, **more)
    return str(refused.value)


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_default(name: str, value: object) -> None:
    assert getattr(given(), name) == value


def test_every_setting_says_what_it_does() -> None:
    assert all(field.metadata["help"] for field in dataclasses.fields(Settings))


@pytest.mark.parametrize(("name", "wrong", "right"), [(name, *pair) for name, pair in KINDS.items()])
def test_a_bad_value_is_named_with_what_would_be_right(name: str, wrong: str, right: str) -> None:
    said = refusal({name: wrong})

    assert f'{name}="{wrong}" should be ' in said
    assert right in said


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "1e9", "soon", ""])
def test_seconds_are_a_number_above_zero(value: str) -> None:
    assert "a number of seconds above 0" in refusal(NODE_TIMEOUT=value)


@pytest.mark.parametrize(
    "value", ["http://host:port/api", "http://host:99999/api", "http://[::1/api", "http://a b/api"]
)
def test_an_address_that_cannot_be_read_is_refused(value: str) -> None:
    assert "an address with its scheme" in refusal(DLT_BASE_URL=value)


@pytest.mark.parametrize("value", ["http://gc:3030", "http://gc/catalogue", "http://gc/?a", "ftp://gc"])
def test_the_global_catalogue_is_named_without_port_and_path(value: str) -> None:
    assert "without port and path" in refusal(GC_URL=value)


@pytest.mark.parametrize("value", ["{scheme}://{hots}", "{}", "{", "{host.port}", "{scheme}{host}", "catalogue"])
def test_a_template_that_makes_no_address_is_refused(value: str) -> None:
    assert "an address in which {scheme} and {host} may stand" in refusal(NODE_URL_TEMPLATE=value)


def test_no_results_are_kept_for_no_time() -> None:
    assert given(SPARQL_CACHE_TTL="0").sparql_cache_ttl == 0
    assert given(SPARQL_CACHE_TTL="0.5").sparql_cache_ttl == 0.5


def test_hosts_are_told_apart_by_commas() -> None:
    assert given(SPARQL_SERVICES=" A.example, b.example:8080,[::1]:80 ,").sparql_services == (
        "a.example",
        "b.example:8080",
        "[::1]:80",
    )


@pytest.mark.parametrize("value", ["a b", "a/sparql", "user@a", "a:port", "*", "a?x", "a#"])
def test_what_is_no_host_is_refused(value: str) -> None:
    assert "hosts with commas" in refusal(SPARQL_SERVICES=value)


def test_all_problems_are_told_at_once() -> None:
    said = refusal(NODE_TIMEOUT="soon", GC_PORT="x", DLT_BASE_URL="nowhere")

    assert all(name in said for name in ("NODE_TIMEOUT", "GC_PORT", "DLT_BASE_URL"))


def test_slashes_at_the_end_and_spaces_around_do_not_matter() -> None:
    assert given(DLT_BASE_URL=" http://booth/api/ ").dlt_base_url == "http://booth/api"


@pytest.mark.parametrize(("text", "meaning"), [("1", True), ("true", True), ("YES", True), ("0", False), ("No", False)])
def test_switches_are_read_as_people_write_them(text: str, meaning: bool) -> None:
    assert given(CENTRALISED=text).centralised is meaning


def test_modes(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.json"
    nodes.write_text("{}")

    assert given().mode is Mode.OWNERS
    assert given(CENTRALISED="1").mode is Mode.CENTRALISED
    assert given(OPERATOR_PROVIDED="1", CATALOGUE_LIST=str(nodes)).mode is Mode.OPERATOR


def test_the_global_catalogue_has_every_offering_once() -> None:
    settings = given(CENTRALISED="1", OFFERING_REPLICA_COUNT="3", GC_URL="https://gc/", GC_PORT="8443")

    assert settings.replicas == 1
    assert settings.global_catalogue_url == "https://gc:8443/catalogue"


def test_two_modes_at_once_are_refused() -> None:
    said = refusal(CENTRALISED="1", OPERATOR_PROVIDED="1")

    assert "contradict each other" in said
    assert "set one of them to 0" in said


def test_a_list_that_would_not_be_used_is_refused() -> None:
    assert "set OPERATOR_PROVIDED=1 with it, or leave it out" in refusal(CATALOGUE_LIST="nodes.json")


@pytest.mark.parametrize("name", ["/nowhere/nodes.json", "x" * 5000])
def test_a_list_that_does_not_exist_is_refused(name: str) -> None:
    said = refusal(OPERATOR_PROVIDED="1", CATALOGUE_LIST=name)

    assert f"CATALOGUE_LIST={name}" in said
    assert "examples/catalogue_list.json shows what it holds" in said


def test_nodes_of_two_modes_at_once_are_refused() -> None:
    said = refusal(CENTRALISED="1", CATALOGUE_LIST="nodes.json", OPERATOR_PROVIDED="1")
    unused = refusal(CENTRALISED="1", CATALOGUE_LIST="nodes.json", OPERATOR_PROVIDED="0")

    assert "contradict each other" in said
    assert "CATALOGUE_LIST is set but not used" in unused


def test_the_env_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# nodes\nHOST_PORT=4000\nWORKER_POOL_SIZE='7'\nexport REDIS_DB=3\nNODE_TIMEOUT\n")

    settings = load({"HOST_PORT": "5000"}, file)

    assert (settings.host_port, settings.worker_pool_size, settings.redis_db) == (5000, 7, 3)


def test_a_bad_value_in_the_env_file_is_named_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("HOST_PORT=high\n")

    with pytest.raises(UsageError, match='HOST_PORT="high" should be a whole number'):
        load({}, file)


def test_the_process_s_own_environment_and_folder_are_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WORKER_POOL_SIZE", "3")
    Path(".env").write_text("REDIS_PORT=7000\nWORKER_POOL_SIZE=4\n")
    for name in ("CENTRALISED", "OPERATOR_PROVIDED", "CATALOGUE_LIST", "REDIS_PORT"):
        monkeypatch.delenv(name, raising=False)

    settings = load()

    assert (settings.worker_pool_size, settings.redis_port) == (3, 7000)


def test_names_that_are_nobody_s_setting_are_let_be() -> None:
    assert given(PATH="/bin", NODE_TIMEOUTS="x") == Settings()


def test_a_variable_that_kubernetes_sets_is_told_of_as_such() -> None:
    said = refusal(REDIS_PORT="tcp://10.0.0.7:6379")

    assert 'REDIS_PORT="tcp://10.0.0.7:6379" should be a whole number' in said
    assert "enableServiceLinks: false" in said


def test_variables_that_kubernetes_sets_for_services_are_not_taken_for_misspelt_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SPARQL_SERVICE_HOST", "10.0.0.7")
    monkeypatch.setenv("REDIS_DB_PORT", "tcp://10.0.0.7:6379")

    assert load() == Settings()
    assert caplog.records == []


def test_mistakes_in_the_env_file_are_warned_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / ".env").write_text("HOST_PORT=4000\nHOTS_ADDRESS=::\nnot a line\n")
    monkeypatch.chdir(tmp_path)
    caplog.set_level("WARNING")

    assert load().host_port == 4000
    assert [record.getMessage() for record in caplog.records] == [
        ".env, line 2: there is no setting HOTS_ADDRESS; did you mean HOST_ADDRESS?",
        ".env, line 3: 'not a line' is no NAME=VALUE; it is left out",
    ]


def test_another_env_file_can_be_named_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("HOST_PORT=4000\n")
    (tmp_path / "other").write_text("HOST_PORT=5000\n")
    monkeypatch.chdir(tmp_path)

    for name, port in (("other", 5000), ("", 3030)):
        monkeypatch.setenv("CATENA_ENV_FILE", name)
        assert load().host_port == port


@pytest.mark.parametrize("name", ["nowhere.env", "x" * 5000])
def test_named_env_file_that_does_not_exist_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATENA_ENV_FILE", name)

    with pytest.raises(UsageError, match=rf"CATENA_ENV_FILE={name}: there is no such file"):
        load()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("auto", ("auto",)),
        ("public", ("public",)),
        ("Public, private", ("public", "private")),
        ("public,10.2.0.0/16,fd12::/16", ("public", ip_network("10.2.0.0/16"), ip_network("fd12::/16"))),
        ("10.2.3.4", (ip_network("10.2.3.4/32"),)),
    ],
)
def test_provider_networks_are_names_and_blocks(text: str, found: tuple[object, ...]) -> None:
    assert given(PROVIDER_NETWORKS=text).provider_networks == found


@pytest.mark.parametrize("text", ["", ",", "auto,public", "10.2.3.4/16", "0.0.0.0/33", "localhost"])
def test_provider_networks_that_mean_nothing_are_refused(text: str) -> None:
    assert "PROVIDER_NETWORKS=" in refusal(PROVIDER_NETWORKS=text)


def test_a_template_with_a_password_is_refused_since_any_owner_would_get_it() -> None:
    said = refusal(NODE_URL_TEMPLATE="{scheme}://catena:pw-of-nodes@{host}/catalogue")

    assert "NODE_CREDENTIALS" in said and "pw-of-nodes" not in said


def test_a_bad_address_is_named_without_its_password() -> None:
    assert "pw-of-booth" not in refusal(DLT_BASE_URL="htp://ada:pw-of-booth@host/api")


@pytest.mark.parametrize("odd", ["#", "/", "?", " ", ":", ""])
@pytest.mark.parametrize("name", ["DLT_BASE_URL", "GC_URL", "NODE_URL_TEMPLATE", "GATEWAY_URL"])
def test_a_password_that_is_not_encoded_is_in_no_message(name: str, odd: str) -> None:
    for address in (f"http://ada:a-pass{odd}word@h:p/api", f"ada:a-pass{odd}word@h/api"):
        with pytest.raises(UsageError, match=name) as wrong:
            load({name: address, "GC_PORT": "80"})
        assert "a-pass" not in str(wrong.value)


def test_an_at_sign_behind_the_host_is_refused_and_not_shown() -> None:
    assert "a-p" not in (said := refusal(DLT_BASE_URL="http://ada:a-p@ss/word@h/api")) and "ss/word" not in said


def test_passwords_are_in_no_representation() -> None:
    read = given(
        DLT_BASE_URL="http://ada:pw-of-booth@host/api",
        GC_URL="http://ada:pw-of-gc@host",
        REDIS_PASSWORD="pw-of-redis",
        CENTRALISED="1",
    )

    assert "pw-of" not in repr(read) + str(read.redis_security) + read.global_catalogue_url + read.dlt_base_url
    assert set(read.url_credentials) == {"http://host/api", "http://host:3030/catalogue"}
    assert read.redis_security.password.reveal() == "pw-of-redis"


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        (
            {"REDIS_PASSWORD": "one", "REDIS_PASSWORD_FILE": "two"},
            "REDIS_PASSWORD and REDIS_PASSWORD_FILE are both set",
        ),
        ({"REDIS_CA_FILE": "ca.pem"}, "REDIS_CA_FILE is set but not used"),
    ],
)
def test_settings_of_redis_that_contradict_each_other_are_refused(given_: dict[str, str], said: str) -> None:
    assert said in refusal(given_)


def test_a_file_of_the_password_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="REDIS_PASSWORD_FILE=/nowhere/secret should be a file"):
        _ = given(REDIS_PASSWORD_FILE="/nowhere/secret").redis_security


@pytest.mark.parametrize("value", ["0.0001", "2e8", "1_000", "\u0663"])
def test_seconds_that_no_timer_can_keep_are_refused(value: str) -> None:
    assert "a number of seconds above 0" in refusal(NODE_HEALTH_CHECK_INTERVAL=value)


@pytest.mark.parametrize("value", ["1_000", "\u0663", "+", "0x10"])
def test_whole_numbers_have_plain_digits(value: str) -> None:
    assert "a whole number from 1" in refusal(REDIS_PORT=value)


@pytest.mark.parametrize("value", ["http://host/api?x=1", "http://host/api#part", "http://ho\tst/api"])
def test_an_address_that_paths_cannot_follow_is_refused(value: str) -> None:
    assert "without ? and #" in refusal(DLT_BASE_URL=value)


@pytest.mark.parametrize("value", ["-1", "nan", "offerings.json", "\u00b2", "1" * 5000])
def test_sandbox_offerings_are_a_number_or_a_file(value: str) -> None:
    assert "a number of offerings, or a file" in refusal(SANDBOX_OFFERINGS=value)


def test_gateway_needs_two_ports_for_its_two_parts() -> None:
    assert "HOST_PORT and GATEWAY_ADMIN_PORT are both 8080" in refusal(HOST_PORT="8080", GATEWAY_ADMIN_PORT="8080")
    assert load({"HOST_PORT": "0", "GATEWAY_ADMIN_PORT": "0"}).gateway_admin_port == 0


def test_misspelt_variable_of_the_environment_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OFFERING_REPLICA_CONT", "3")
    load()
    said = "the environment: there is no setting OFFERING_REPLICA_CONT; did you mean OFFERING_REPLICA_COUNT?"
    assert [record.getMessage() for record in caplog.records] == [said]
    monkeypatch.setenv("CATENA_ENV_FILE", "")  # as catena up sets it for its processes
    load()
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    "value", ["redis:6379", "redis://redis", "rediss://me:secret@redis/0", "[::1]", "a/b", "a b", ":"]
)
def test_redis_host_refuses_more_than_a_host(value: str) -> None:
    with pytest.raises(UsageError, match=r"REDIS_HOST=.* a host alone") as refused:
        load({"REDIS_HOST": value}, "")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["", "redis", "redis-1.example", "a_b", "127.0.0.1", "::1", "fe80::1%eth0", "bücher.example"]
)
def test_redis_host_takes_each_kind_of_host(value: str) -> None:
    assert load({"REDIS_HOST": value}, "").redis_host == value
