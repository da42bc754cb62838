"""Dashboards and alerts ask for metrics that there are, in PromQL that parses, and each alert is explained."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry

from catena_core.monitoring.metrics import BUCKETS, Metrics
from tests.helpers.documents import ROOT
from topology.gateway.api.metrics import CatalogueMetrics, QueryMetrics
from topology.gateway.api.schemas import STATES
from topology.gateway.replicas.missing import MissingCopies
from topology.records import NodeCondition
from topology.ring import RingView
from topology.runner.up import LINKS

FOLDER = ROOT / "deploy/observability"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
BOARDS = {path.name: json.loads(path.read_text()) for path in sorted((FOLDER / "grafana/dashboards").glob("*.json"))}
EXPRESSIONS = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{name}: {panel['title']} {target['refId']}": target["expr"]
        for name, board in BOARDS.items()
        for panel in board["panels"]
        for target in panel["targets"]
    },
}


class NoCatalogue:
    """A view of a catalogue that holds nothing."""

    def ledger_listing(self) -> list[Any]:
        return []

    def missing(self) -> MissingCopies:
        return MissingCopies(0, {})


def exported() -> set[str]:
    """Return the names under which the code's metrics are scraped, and those of the process and of Prometheus."""
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.transform_seconds("t", 1.0)
    QueryMetrics(registry)
    registry.register(CatalogueMetrics(NoCatalogue(), lambda: RingView(None)))  # type: ignore[arg-type]
    names = {"up"}
    for family in registry.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        names |= {family.name + suffix for suffix in suffixes}
    return names


def asked(expression: str) -> Iterator[str]:
    """Find the metrics that an expression names."""
    without_strings = re.sub(r'"[^"]*"', '""', expression)
    yield from re.findall(r"\b(?:catena_\w+|process_\w+|up(?=\{))", without_strings)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_expression_parses_and_asks_for_metrics_that_there_are(expression: str) -> None:
    promql_parser.parse(expression)

    names = set(asked(expression))
    assert names
    assert names <= exported()


def test_values_of_labels_are_those_of_the_code() -> None:
    text = " ".join(EXPRESSIONS.values())
    said = set(re.findall(r'catena_offerings\{state="(\w+)"', text))
    conditions = set(re.findall(r'catena_nodes\{state="(\w+)"', text))

    assert said <= STATES
    assert conditions <= set(NodeCondition.__args__)  # type: ignore[attr-defined]
    assert max(BUCKETS) >= 10  # or histogram_quantile never tells slow ones


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_alert_is_whole_and_has_its_paragraph(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("warning", "critical")
    assert rule["annotations"]["summary"]
    assert f"\n**{rule['alert']}.** " in (ROOT / "docs/operating.md").read_text()


def test_alert_rounds_what_is_no_count() -> None:
    for rule in RULES:
        is_count = not re.search(r"\brate\(|seconds|bytes", rule["expr"])
        value = re.search(r"\{\{ \$value( \| humanize\w*)? \}\}", rule["annotations"]["summary"])
        assert value is None or is_count or value[1], rule["alert"]


def test_no_paragraph_tells_of_an_alert_that_there_is_not() -> None:
    told = re.findall(r"^\*\*(Catena\w+)\.\*\*", (ROOT / "docs/operating.md").read_text(), re.MULTILINE)

    assert sorted(told) == sorted(rule["alert"] for rule in RULES)


def test_prometheus_finds_every_link_where_compose_serves_its_metrics() -> None:
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    (found,) = job["dns_sd_configs"]

    assert sorted(found["names"]) == sorted(LINKS)
    assert {services[name]["environment"]["METRICS_PORT"] for name in LINKS} == {found["port"]}
    assert all(services[name]["command"][-2:] == ["--host", "0.0.0.0"] for name in LINKS)
    assert {name for name in LINKS if f'link="{name}"' in EXPRESSIONS["CatenaLinkMissing"]} == set(LINKS)


def test_dashboards_have_their_own_panels_and_the_provisioned_source() -> None:
    source = yaml.safe_load((FOLDER / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]

    assert BOARDS.keys() == {"catena.json", "links.json"}
    for board in BOARDS.values():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids))
        assert {panel["datasource"]["uid"] for panel in board["panels"]} == {source["uid"]}
