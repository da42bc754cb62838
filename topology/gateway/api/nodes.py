"""The catalogue nodes over HTTP."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Literal

import flask
import msgspec

from catena_core.text import redacted
from federation.engine import Engine
from federation.protocol.etag import revalidated
from federation.protocol.problems import problem
from topology.consumer_groups import LinkStatus
from topology.gateway.api.json_responses import in_json
from topology.gateway.api.schemas import Health, NodeList, NodeStatus, Overview, ViewState
from topology.gateway.catalogue_view import CatalogueView
from topology.records import Inspection
from topology.ring import RingView

_MOST_NAMES = 100
_MOST_STREAMS = 8
# Places of the hash ring that a picture of it shows.
_PLACES = 360
_LOOK_EVERY = 2.0
_MOST_LOOKS = 150
_LOOKS_PER_SIGN = 5


class State:
    """The state of the gateway and its nodes, as clients see it.

    Args:
        engine: Answers SPARQL queries.
        view: Finds the offerings, and the node to read each graph from.
        ring: Returns the current ring.
        inspections: The last inspection of each node, by its id.
        links: Returns the links on Kafka.
        failing: Returns the processes that a runner restarts in vain, and how they died.
        unlisted: Returns the nodes that are up and have not listed their graphs for long, and why.
    """

    def __init__(
        self,
        engine: Engine,
        view: CatalogueView,
        ring: Callable[[], RingView],
        inspections: Mapping[str, Inspection],
        links: Callable[[], Sequence[LinkStatus]],
        failing: Callable[[], Mapping[str, str]],
        unlisted: Callable[[], Mapping[str, str]],
    ) -> None:
        self._engine = engine
        self._view = view
        self._ring = ring
        self._inspections = inspections
        self._links = links
        self._failing = failing
        self._unlisted = unlisted

    def health(self, *, details: bool) -> Health:
        """Return the health, with the names of nodes or without."""
        now = self._ring()
        all_up = bool(now.nodes) and all(node.state == "up" for node in now.nodes.values())
        takes_graphs = not all(node.draining for node in now.nodes.values())  # else new offerings have no place
        missing = self._view.missing()
        refused = sum(missing.refused.values())
        failing = {name: redacted(death) for name, death in self._failing().items()}
        uninspected = self._uninspected(now)
        is_well = all_up and takes_graphs and not (missing.total or missing.at_fault or failing or uninspected)
        status: Literal["healthy", "degraded"] = "healthy" if is_well else "degraded"
        states = {node.id: node.condition for node in now.nodes.values()}
        store = ViewState(*self._engine.view) if self._engine.view and details else None
        health = Health(status, now.epoch, copies_missing=missing.total, copies_refused=refused)
        if details:
            health.nodes, health.view, health.failing, health.uninspected = states, store, failing, uninspected
            health.unusable = {node.id: redacted(node.problem) for node in now.nodes.values() if node.problem}
            reasons = self._view.problems() if refused else {}
            health.refusing = {
                node: redacted(reasons.get(node, f"it does not take {number} graphs"))
                for node, number in sorted(missing.refused.items())
            }
        return health

    def _uninspected(self, ring: RingView) -> dict[str, str]:
        """Return the nodes that are up and whose graphs have not been seen for long, with the reasons."""
        found = {**self._unlisted()}
        for name, node in ring.nodes.items():
            last = self._inspections.get(name)
            if node.state == "up" and last is not None and last.lasting:
                found[name] = redacted(last.problem)
        return found

    def nodes(self) -> NodeList:
        """Return the nodes, with the numbers of graphs on them."""
        now, view = self._ring(), self._view
        read = Counter(view.snapshot().source_of.values())
        placed = Counter(node for offering in view.offerings() for node in offering.nodes)
        conflicts = view.conflicts()
        missing = view.missing().by_node
        uninspected = {name: problem for name, problem in self._unlisted().items() if not self._problem_of(name)}
        problems = {**uninspected, **view.problems()}
        described = [
            NodeStatus(
                id=node.id,
                url=redacted(node.url),
                state=node.condition,
                graphs_placed=placed[node.id],
                graphs_read=read[node.id],
                graphs_missing=missing.get(node.id, 0),
                weight=node.weight,
                held_down_until=node.held_down_until if node.held_down_until > time.time() * 1000 else 0,
                inspection=_shown(self._inspections.get(node.id)),
                conflicts=len(conflicts.get(node.id, ())),
                conflicting_graphs=list(conflicts.get(node.id, ()))[:_MOST_NAMES],
                problem=redacted(node.problem or node.silence or problems.get(node.id, "")),
            )
            for _, node in sorted(now.nodes.items())
        ]
        return NodeList(now.epoch, described)

    def _problem_of(self, node: str) -> str:
        last = self._inspections.get(node)
        return last.problem if last is not None else ""

    def overview(self, *, details: bool) -> Overview:
        """Return everything at a glance, with the nodes or without."""
        listed = self._view.ledger_listing()
        return Overview(
            health=self.health(details=details),
            offerings=len(self._view.offerings()),
            states=dict(sorted(Counter(one.state for one in listed if one.state).items())),
            nodes=self.nodes().nodes if details else msgspec.UNSET,
            links=list(self._links()) if details else msgspec.UNSET,
            circle=list(self._ring().next_nodes(_PLACES)) if details else msgspec.UNSET,
        )


def nodes_blueprint(state: State) -> flask.Blueprint:
    """Make the routes ``GET /nodes``, ``GET /health`` and ``GET /overview``."""
    blueprint = flask.Blueprint("nodes", __name__)
    streams = threading.BoundedSemaphore(_MOST_STREAMS)

    @blueprint.get("/health")
    def health() -> flask.Response:
        """Answer with the health of the gateway and its nodes."""
        # Clients that may not see the admin part learn no names of nodes.
        response = in_json(state.health(details=_sees_details()))
        response.headers["Cache-Control"] = "no-store"
        return response

    @blueprint.get("/nodes")
    def nodes() -> flask.Response:
        """Answer with the nodes and the numbers of graphs on them."""
        return revalidated(in_json(state.nodes()), flask.request)

    @blueprint.get("/overview")
    def overview() -> flask.Response:
        """Answer with everything at a glance, or send it again after each change, as server-sent events."""
        details = _sees_details()
        if "text/event-stream" not in flask.request.accept_mimetypes.values():
            response = in_json(state.overview(details=details))
            response.headers["Vary"] = "Accept"
            return revalidated(response, flask.request)
        if not streams.acquire(blocking=False):
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients follow the overview; ask for it in JSON")
        gone = flask.request.environ.get("waitress.client_disconnected", lambda: False)
        response = flask.Response(
            _events(lambda: state.overview(details=details), gone), content_type="text/event-stream"
        )
        response.call_on_close(streams.release)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "Accept"
        response.headers["X-Accel-Buffering"] = "no"  # nginx sends each event at once then
        return response

    return blueprint


def _events(overview: Callable[[], Overview], gone: Callable[[], bool]) -> Iterator[bytes]:
    """Yield the overview after each change (https://html.spec.whatwg.org/multipage/server-sent-events.html).

    A stream takes a thread of the server, so it ends after some time; browsers come again.
    """
    last = b""
    for look in range(_MOST_LOOKS):
        now = msgspec.json.encode(overview())
        if now != last:
            yield b"data: " + now + b"\n\n"
        elif look % _LOOKS_PER_SIGN == 0:
            yield b":\n\n"  # a sign of life, by which the server notices that a client has gone
        last = now
        if gone():
            return
        time.sleep(_LOOK_EVERY)


def _sees_details() -> bool:
    return bool(flask.g.get("shows_details", True))


def _shown(inspection: Inspection | None) -> Inspection | msgspec.UnsetType:
    if inspection is None:
        return msgspec.UNSET
    return msgspec.structs.replace(inspection, problem=redacted(inspection.problem))
