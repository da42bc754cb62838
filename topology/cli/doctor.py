"""``catena doctor``: checks the settings and every server that they name, and says what to do."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import click
import msgspec
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from catena_core.errors import CatenaError, UsageError
from catena_core.kafka.broker_errors import BrokerErrors
from catena_core.kafka.client import check_properties
from catena_core.monitoring.logs import LinkLogger
from catena_core.options import check_brokers, split_properties
from catena_core.text import printable, redacted
from catena_core.topics import dropped, is_embedded
from topology import env_file, settings, topics
from topology.access import LinkAccess
from topology.cli.gateway import own_url
from topology.cli.kafka import properties_of_settings
from topology.clients.http import UnsafeError, WebClient, WebError
from topology.clients.ledger import Ledger
from topology.clients.node import NodeClient
from topology.clients.node_discovery import discover
from topology.clients.redis_cache import advice, connect
from topology.gateway.api.schemas import Health
from topology.json_errors import NOT_JSON
from topology.membership import CatalogueList, Member, MembershipError
from topology.preflight import check_files
from topology.settings import Mode, Settings

State = Literal["ok", "warning", "failed"]
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}
_TIMEOUT = 5.0


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        part: The part that was checked.
        state: ``ok``; ``warning`` where Catena works, but not as it could; ``failed`` where it cannot work.
        said: What was found.
        advice: What to do; empty where there is nothing to do.
    """

    part: str
    state: State
    said: str
    advice: str = ""


@click.command("doctor")
@click.option(
    "-k", "--kafka", envvar="KAFKA_ENDPOINT", show_envvar=True, metavar="HOST:PORT", help="Kafka, as links get it."
)
@click.option("-X", "properties", multiple=True, metavar="NAME=VALUE", help="Any librdkafka property; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding, for machines.")
def doctor(kafka: str | None, properties: tuple[str, ...], as_json: bool) -> None:
    """Check the settings and every server that they name, and say what to do.

    Checked are .env and the environment, Kafka and its topics, Redis, the OpenID Connect issuer, the DLT-Booth, one
    provider, each catalogue node, and this machine's gateway. Nothing is changed. The status is 1 if anything has failed.

    \b
    Examples:
      catena doctor
      catena doctor -k kafka:9092 -X security.protocol=SSL
      catena doctor --json | jq 'select(.state == "failed")'
    """
    failed = False
    try:
        extra = {**properties_of_settings(), **split_properties(properties)}
    except CatenaError as error:
        raise click.ClickException(str(error)) from error
    for finding in _findings(kafka or settings.kafka_endpoint(), extra):
        failed |= finding.state == "failed"
        click.echo(json.dumps(asdict(finding)) if as_json else _line(finding))
    sys.exit(1 if failed else 0)


def _line(finding: Finding) -> str:
    mark = click.style(f"{finding.state:8}", fg=_COLOURS[finding.state])
    advice = f"\n         {printable(finding.advice)}" if finding.advice else ""
    return f"{mark} {finding.part}: {printable(finding.said)}{advice}"


def _findings(kafka: str | None, properties: dict[str, str]) -> Iterator[Finding]:
    file = env_file.env_file()
    for mistake in env_file.mistakes(file, settings.known_variables()):
        yield Finding(".env", "warning", mistake, "correct the line, or remove it")
    for name in os.environ:
        if mistake := env_file.misspelt(name, settings.known_variables()):
            yield Finding("environment", "warning", mistake, "correct the variable's name, or remove it")
    yield from _kafka(kafka, properties)
    try:
        chosen = settings.load(os.environ, file)
        check_files(chosen)
        access = LinkAccess(chosen)
    except UsageError as error:
        # A heading, and below it a line for each setting; or one line alone.
        heading, *problems = str(error).splitlines()
        for problem in problems or [heading]:
            yield Finding("settings", "failed", problem.strip(), "examples/example.env explains every setting")
        return
    yield Finding("settings", "ok", f"{chosen.mode.value}; {chosen.replicas} copies of each offering")
    yield from _redis(chosen)
    yield from _issuer(chosen)
    named = "DLT_BASE_URL" in {**env_file.read_env_file(file), **os.environ}
    yield from _ledger(chosen, access, named=named)
    yield from _nodes(chosen, access)
    yield from _gateway(chosen)


def _kafka(endpoint: str | None, properties: dict[str, str]) -> Iterator[Finding]:
    if endpoint is None:
        yield Finding(
            "Kafka", "warning", "none is named", "'catena up' brings one to try things out; else say -k HOST:PORT"
        )
        return
    errors = BrokerErrors()
    try:
        check_brokers(endpoint)
        check_properties(properties)
        admin = AdminClient({"bootstrap.servers": endpoint, "log_level": 0, "error_cb": errors, **properties})
        cluster = admin.list_topics(timeout=_TIMEOUT)
    except UsageError as error:
        yield Finding("Kafka", "failed", str(error), "correct -k or KAFKA_ENDPOINT, -X or the KAFKA_ variables")
        return
    except KafkaException as error:
        admin.poll(0)
        yield Finding(
            "Kafka",
            "failed",
            errors.no_answer(endpoint, error),
            "start it, or correct -k or KAFKA_ENDPOINT; behind TLS or a password it needs -X security.protocol=…",
        )
        return
    kind = ", the embedded one" if is_embedded(cluster) else ""
    number = len(cluster.brokers)
    yield Finding("Kafka", "ok", f"{number} {'broker' if number == 1 else 'brokers'} at {endpoint}{kind}")
    for broker in cluster.brokers.values():
        if problem := _unreachable(broker.host, broker.port):
            yield Finding(
                "Kafka",
                "failed",
                f"the broker tells clients to ask {broker.host}:{broker.port}, which cannot be reached from here: {problem}",
                "correct advertised.listeners of the broker, or run Catena where that address leads to it",
            )
    missing = [spec.name for spec in topics.SPECS if spec.name not in cluster.topics]
    if missing:
        yield Finding("topics", "warning", f"{', '.join(missing)} do not exist yet", "the first link makes them")
    few = [
        f"{spec.name} has {len(cluster.topics[spec.name].partitions)} partitions, not {spec.partitions}"
        for spec in topics.SPECS
        if spec.name in cluster.topics and len(cluster.topics[spec.name].partitions) != spec.partitions
    ]
    if few:
        yield Finding(
            "topics", "warning", "; ".join(few), "let Catena make its topics itself, before anything uses them"
        )
    if is_embedded(cluster):
        for topic, count in dropped(admin, cluster, [spec.name for spec in topics.SPECS if spec.compacted]).items():
            yield Finding(
                "topics", "failed", f"{topic} has lost {count} messages", "use Apache Kafka for so many offerings"
            )


def _unreachable(host: str, port: int) -> str:
    """Return the reason for which nothing answers at an address; empty if something does."""
    try:
        socket.create_connection((host, port), _TIMEOUT).close()
        return ""
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)


def _redis(chosen: Settings) -> Iterator[Finding]:
    if not chosen.redis_host:
        yield Finding("Redis", "ok", "none is wanted: each process has a cache of its own")
        return
    place = f"{chosen.redis_host}:{chosen.redis_port}"
    try:
        connect(chosen.redis_host, chosen.redis_port, chosen.redis_db, chosen.redis_security, _TIMEOUT).ping()
        yield Finding("Redis", "ok", f"answers at {place}")
    except Exception as error:  # whatever the client raises, Redis is not there
        yield Finding(
            "Redis",
            "warning",
            f"cannot be used at {place}: {redacted(str(error))}",
            f'each process goes on with a cache of its own; {advice(error, chosen.redis_security)}, or say REDIS_HOST=""',
        )


def _issuer(chosen: Settings) -> Iterator[Finding]:
    if not chosen.gateway_oidc_issuer:
        return
    from topology.gateway.guarding.bearer_tokens import BearerTokens  # check_files() has found its library

    try:
        tokens = BearerTokens(chosen.gateway_oidc_issuer, chosen.gateway_oidc_audience, LinkLogger("doctor"))
        yield Finding("OIDC issuer", "ok", f"{tokens.check()} keys at {chosen.gateway_oidc_issuer}")
    except UsageError as error:
        yield Finding(
            "OIDC issuer",
            "failed",
            str(error),
            "no token counts until then; correct GATEWAY_OIDC_ISSUER: it ends where /.well-known/openid-configuration begins",
        )


def _ledger(chosen: Settings, access: LinkAccess, *, named: bool) -> Iterator[Finding]:
    ledger = Ledger(chosen.dlt_base_url, WebClient(_TIMEOUT, access=access.ledger))
    try:
        listing = ledger.addresses()
    except (WebError, UnsafeError) as error:
        if not named:
            said = f"none is named, and none answers at {chosen.dlt_base_url}"
            yield Finding(
                "DLT-Booth", "warning", said, "'catena up' brings a ledger to try things out; else set DLT_BASE_URL"
            )
            return
        advice = "correct DLT_BASE_URL: it ends where /offerings begins, as in http://host:8085/api"
        yield Finding("DLT-Booth", "failed", str(error), advice)
        return
    yield Finding("DLT-Booth", "ok", f"lists {len(listing.addresses)} offerings")
    if not listing.addresses:
        return
    address = listing.addresses[-1]
    try:
        entry = ledger.entry(address)
        provider = WebClient(_TIMEOUT, chosen.offering_max_bytes, access=access.providers)
        status = provider.request("GET", entry.description_uri).status
    except (WebError, UnsafeError) as error:
        yield Finding("provider", "warning", f"the newest offering, {address}: {error}", "look at its provider")
        return
    if status != 200:
        said = f"the newest offering, {address}, answers with status {status} at {redacted(entry.description_uri)}"
        yield Finding("provider", "warning", said, "look at its provider")
    else:
        yield Finding("provider", "ok", f"serves the newest offering, {address}")


def _nodes(chosen: Settings, access: LinkAccess) -> Iterator[Finding]:
    if chosen.mode is Mode.OWNERS:
        said = f"each owner's, at {chosen.node_url_template} with scheme and host of its descriptions"
        yield Finding("nodes", "ok", f"{said}; GET /nodes of the gateway shows them")
        return
    try:
        members = (
            (Member("global-catalogue", chosen.global_catalogue_url),)
            if chosen.mode is Mode.CENTRALISED
            else CatalogueList(chosen.catalogue_list).members()
        )
    except MembershipError as error:
        yield Finding("nodes", "failed", str(error), "examples/catalogue_list.json shows a list")
        return
    if len(members) < chosen.replicas:
        said = f"{len(members)} nodes cannot hold {chosen.replicas} copies of each offering"
        yield Finding("nodes", "warning", said, "add nodes to CATALOGUE_LIST, or lower OFFERING_REPLICA_COUNT")
    web = WebClient(chosen.node_timeout, access=access.nodes)
    for member in members:
        try:
            endpoints = discover(member.url, web, member.endpoints, protocol=None).endpoints
            client = NodeClient(member.url, web, endpoints=endpoints)
            if client.is_healthy():
                yield Finding(member.id, "ok", f"answers at {member.url}, as {client.detect_protocol()}")
                continue
            said = f"says at {member.url} that it is not well"
        except (WebError, UnsafeError) as error:
            said = str(error)
        yield Finding(member.id, "failed", said, "start the node, or correct its catalogue_url")


def _gateway(chosen: Settings) -> Iterator[Finding]:
    url = own_url(chosen)
    try:
        answer = WebClient(_TIMEOUT).request("GET", f"{url}/health")
        health = msgspec.json.decode(answer.body, type=Health)
    except CatenaError:
        yield Finding("gateway", "warning", "none answers at HOST_PORT of this machine", "start one, or set HOST_PORT")
        return
    except NOT_JSON:
        yield Finding("gateway", "warning", f"at {url} is another server", "set HOST_PORT to the gateway's port")
        return
    refusing = [f"{node} refuses copies: {problem}" for node, problem in health.refusing.items()]
    if health.status == "healthy":
        yield Finding("gateway", "ok", "; ".join([f"healthy at {url}", *refusing]))
        return
    nodes = {} if health.nodes is msgspec.UNSET else health.nodes
    reasons = [f"{node} is {state}" for node, state in nodes.items() if state != "up" and node not in health.unusable]
    reasons += [f"{health.copies_missing:,} copies are missing"] if health.copies_missing else []
    reasons += [f"{node} cannot be inspected: {problem}" for node, problem in health.uninspected.items()]
    reasons += refusing
    reasons += [f"{node} cannot be used: {problem}" for node, problem in health.unusable.items()]
    reasons += [f"{name} {death}" for name, death in health.failing.items()]
    said = f"degraded at {url}: {'; '.join(reasons) or 'there are no nodes'}"
    yield Finding("gateway", "warning", said, "GET /health and GET /nodes say more")
