"""The metrics of the gateway's queries and of its catalogue, for Prometheus."""

from __future__ import annotations

import itertools
import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import get_args

import flask
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from federation.analysis.plan import FORMS
from federation.engine import Answer
from federation.errors import FederationError, QueryCancelledError
from federation.protocol.sparql import COMPLETENESS
from federation.trace import PULL, PUSH_DOWN, VIEW
from topology.gateway.api.schemas import STATES
from topology.gateway.catalogue_view import CatalogueView
from topology.records import NodeCondition
from topology.ring import RingView

_ENDPOINT = "sparql.sparql"
# From an answer out of the cache to one that takes all of SPARQL_TIMEOUT.
_BUCKETS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0)
_WAYS = {PUSH_DOWN: "push_down", PULL: "pull", VIEW: "view"}
_OUTCOMES = {
    HTTPStatus.BAD_REQUEST: "invalid",
    HTTPStatus.UNPROCESSABLE_ENTITY: "too_large",
    HTTPStatus.BAD_GATEWAY: "bad_answer",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "timed_out",
}
# Of answers that are sent in parts.
_BROKEN_OFF, _CLIENT_GONE = "broken_off", "client_gone"


class QueryMetrics:
    """Counts and times the queries of one gateway.

    Args:
        registry: The registry that an exporter of Prometheus reads.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._queries = Counter(
            "catena_queries", "SPARQL queries, by form, way and outcome.", ("form", "way", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "catena_query_seconds",
            "Seconds from a SPARQL request to its answer.",
            ("way",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._running = Gauge(
            "catena_queries_in_progress", "SPARQL queries that have no answer yet.", registry=registry
        )
        self._bytes = Counter(
            "catena_query_node_bytes", "Bytes that a node sent for SPARQL queries.", ("node",), registry=registry
        )

    def start_at_zero(self) -> None:
        """Show the counters before the first query: the rate of one that appears with its first error would miss this error."""
        for labels in itertools.product(FORMS, (*_WAYS.values(), "cached_result"), ("complete", "partial")):
            self._queries.labels(*labels)
        for labels in itertools.product(FORMS, _WAYS.values(), (_BROKEN_OFF, _CLIENT_GONE)):
            self._queries.labels(*labels)
        for form, outcome in itertools.product((*FORMS, "none"), (*_OUTCOMES.values(), "refused", "failed")):
            self._queries.labels(form, "none", outcome)
        for way in (*_WAYS.values(), "cached_result", "none"):
            self._seconds.labels(way)

    def observe(self, app: flask.Flask) -> None:
        """Observe every query to an application from now on."""
        app.before_request(self._begin)
        app.after_request(self._end)
        app.teardown_request(self._leave)

    def _begin(self) -> None:
        if flask.request.endpoint == _ENDPOINT:
            flask.g.query_start = time.perf_counter()
            self._running.inc()

    def _end(self, response: flask.Response) -> flask.Response:
        """Count a query; a request without one, for the service description, is none."""
        if "query_start" in flask.g and ("query_form" in flask.g or response.status_code >= HTTPStatus.BAD_REQUEST):
            answer: Answer | None = flask.g.get("query_answer")
            way = "none" if answer is None else "cached_result" if answer.cached else _WAYS[answer.tier]
            self._count(response, flask.g.get("query_form", "none"), way, is_streamed=bool(answer and answer.rest))
            self._seconds.labels(way).observe(time.perf_counter() - flask.g.query_start)
            for step in answer.steps if answer else ():
                if step.what == "ask":
                    self._bytes.labels(step.source).inc(step.size)
        return response

    def _count(self, response: flask.Response, form: str, way: str, is_streamed: bool) -> None:
        """Count a query by its outcome, which is known of a streamed answer only in the end."""
        outcome = _outcome(response)
        if not is_streamed:
            self._queries.labels(form, way, outcome).inc()
            return
        parts = response.iter_encoded()

        def watched() -> Iterator[bytes]:
            nonlocal outcome
            whole, outcome = outcome, _CLIENT_GONE
            try:
                yield from parts
            except FederationError as error:
                outcome = _CLIENT_GONE if isinstance(error, QueryCancelledError) else _BROKEN_OFF
                raise
            outcome = whole

        response.response = watched()
        response.call_on_close(lambda: self._queries.labels(form, way, outcome).inc())

    def _leave(self, _error: BaseException | None) -> None:
        if "query_start" in flask.g:
            self._running.dec()


class CatalogueMetrics(Collector):
    """Counts offerings, nodes, and missing and refused copies whenever an exporter asks.

    Args:
        view: Finds the offerings.
        ring: Returns the current ring.
    """

    def __init__(self, view: CatalogueView, ring: Callable[[], RingView]) -> None:
        self._view = view
        self._ring = ring

    def collect(self) -> Iterable[Metric]:
        """Count them now."""
        offerings = GaugeMetricFamily("catena_offerings", "Addresses on the ledger, by state.", labels=["state"])
        states = Counts(one.state for one in self._view.ledger_listing())
        for state in sorted(STATES):
            offerings.add_metric([state], states[state])
        nodes = GaugeMetricFamily("catena_nodes", "Catalogue nodes, by state.", labels=["state"])
        conditions = Counts(node.condition for node in self._ring().nodes.values())
        for state in get_args(NodeCondition):
            nodes.add_metric([state], conditions[state])
        copies = self._view.missing()
        return [
            offerings,
            nodes,
            GaugeMetricFamily("catena_copies_missing", "Copies that offerings lack.", copies.total),
            GaugeMetricFamily(
                "catena_copies_refused",
                "Copies that nodes refuse to take or to delete.",
                sum(copies.refused.values()),
            ),
        ]


def _outcome(response: flask.Response) -> str:
    status = response.status_code
    if status < HTTPStatus.BAD_REQUEST:
        return "complete" if response.headers.get(COMPLETENESS) == "complete" else "partial"
    return _OUTCOMES.get(HTTPStatus(status), "refused" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "failed")
