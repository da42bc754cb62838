"""The list of nodes: where and how each is, what is on it and what it lacks."""

from __future__ import annotations

from typing import Any

import flask
import pytest

from federation.engine import Engine
from tests.helpers.answers import content
from tests.helpers.gateway import G, Serving
from tests.helpers.records import described
from tests.helpers.sandbox_servers import Sandbox
from tests.helpers.waiting import eventually
from topology.gateway.api.app import create_app
from topology.gateway.replicas.ranking import Replica
from topology.gateway.replicas.selector import ReplicaSelector
from topology.records import Inspection, Node, NodeState, Ring, placement_key
from topology.ring import RingView


class TestMissingCopies:
    def test_health_is_degraded_and_says_how_many_until_they_are_there(self, engine: Engine) -> None:
        serving = Serving(engine)
        for name in "ab":
            serving.has(name, f"http://{name}.invalid/catalogue")
        serving.list("0xa", described(G))
        states = {"a": "up", "b": "up"}

        assert content(serving.client.get("/health")) == {
            "status": "degraded",
            "epoch": 4,
            "nodes": states,
            "copies_missing": 2,
        }

        serving.note("a", described(G))
        serving.note("b", described(G))

        eventually(lambda: content(serving.client.get("/health")) == {"status": "healthy", "epoch": 4, "nodes": states})


class TestRefusedCopies:
    @pytest.mark.parametrize(("held", "status"), [(1, "healthy"), (0, "degraded")])
    def test_health_counts_them_and_is_degraded_by_a_node_that_refuses_most(
        self, engine: Engine, held: int, status: str
    ) -> None:
        """Any stranger can publish a description that a kind of node refuses."""
        serving = Serving(engine)
        for name in "ab":
            serving.has(name, f"http://{name}.invalid/catalogue")
        description = described(G)
        serving.list("0xa", description)
        serving.note("a", description)
        for number in range(held):
            good = described(f"{G}/{number}")
            serving.list(f"0xb{number}", good)
            serving.note("a", good)
            serving.note("b", good)
        refusal = Replica("", 1, refused=description.digest, problem="status 413 (http://ada:secret@n)")
        serving.directory.replicas[placement_key("b", G)] = refusal  # type: ignore[index]
        serving.directory.changed()

        found = content(serving.client.get("/health"))

        assert (found["status"], found["copies_refused"]) == (status, 1)
        assert "copies_missing" not in found
        assert found["refusing"] == {"b": "it does not take 1 graphs: status 413 (http://***@n)"}


class TestFailingProcesses:
    def test_health_is_degraded_and_names_them_to_operators(self, engine: Engine, nodes: tuple[Sandbox, ...]) -> None:
        serving = Serving.over(engine, nodes)
        serving.failing["writer"] = "died 3 times in a row, the last time with status 1 (http://ada:secret@n)"

        found = content(serving.client.get("/health"))

        assert found["status"] == "degraded"
        assert found["failing"] == {"writer": "died 3 times in a row, the last time with status 1 (http://***@n)"}


class TestUnusableNodes:
    def test_health_says_why(self, engine: Engine) -> None:
        twin = Node("b", "http://b.invalid/c", "down", problem="it is the same store as a (http://ada:secret@n)")
        ring = RingView(Ring(1, (Node("a", "http://a.invalid/c"), twin), 50, 2))
        app = create_app(engine, ReplicaSelector(lambda: ring), lambda: ring)

        found = content(app.test_client().get("/health"))

        assert found["status"] == "degraded"
        assert found["unusable"] == {"b": "it is the same store as a (http://***@n)"}


class TestDrainingNodes:
    @pytest.mark.parametrize(("other", "status"), [(False, "healthy"), (True, "degraded")])
    def test_health_is_degraded_while_all_are_since_new_offerings_have_no_place(
        self, engine: Engine, other: bool, status: str
    ) -> None:
        nodes = Node("a", "http://a.invalid/c", draining=True), Node("b", "http://b.invalid/c", draining=other)
        ring = RingView(Ring(1, nodes, 50, 2))
        app = create_app(engine, ReplicaSelector(lambda: ring), lambda: ring)

        assert content(app.test_client().get("/health"))["status"] == status


class TestUninspectedNodes:
    def make(self, engine: Engine, state: NodeState = "up", unlisted: str = "", **inspection: Any) -> flask.Flask:
        view = RingView(Ring(1, (Node("a", "http://a.invalid/c", state),), 50, 2))
        inspections = {"a": Inspection("a", 7, **inspection)} if inspection else {}
        return create_app(
            engine,
            ReplicaSelector(lambda: view),
            lambda: view,
            inspections=inspections,
            unlisted=lambda: {"a": unlisted} if unlisted else {},
        )

    def test_health_is_degraded_and_says_which_and_why_once_that_lasts(self, engine: Engine) -> None:
        app = self.make(engine, problem="status 403 (http://ada:secret@n)", failing_since=3, lasting=True)

        found = content(app.test_client().get("/health"))

        assert found["status"] == "degraded"
        assert found["uninspected"] == {"a": "status 403 (http://***@n)"}

    def test_health_is_as_before_while_that_is_young(self, engine: Engine) -> None:
        app = self.make(engine, problem="status 503", failing_since=3)

        found = content(app.test_client().get("/health"))

        assert (found["status"], "uninspected" in found) == ("healthy", False)

    def test_nodes_that_are_not_up_are_told_of_by_their_state(self, engine: Engine) -> None:
        app = self.make(engine, "suspect", problem="status 503", failing_since=3, lasting=True)

        assert "uninspected" not in content(app.test_client().get("/health"))

    def test_node_that_does_not_list_its_graphs_to_the_gateway_is_one(self, engine: Engine) -> None:
        client = self.make(engine, unlisted="it does not say which graphs it holds: status 403").test_client()

        found = content(client.get("/health"))

        assert found["uninspected"] == {"a": "it does not say which graphs it holds: status 403"}
        (node,) = content(client.get("/nodes"))["nodes"]
        assert node["problem"] == "it does not say which graphs it holds: status 403"


class TestNodes:
    def test_nodes_with_owners_graphs_in_conflict_are_counted_and_named(self, serving: Serving) -> None:
        serving.directory.replicas[placement_key("a", "https://p.example/own")] = Replica("", 1, foreign=True)  # type: ignore[index]

        found = {node["id"]: node for node in content(serving.client.get("/nodes"))["nodes"]}

        assert (found["a"]["conflicts"], found["a"]["conflicting_graphs"]) == (1, ["https://p.example/own"])
        assert "conflicts" not in found["b"]

    def test_each_says_where_and_how_it_is_and_what_is_on_it(
        self, serving: Serving, nodes: tuple[Sandbox, ...]
    ) -> None:
        found = content(serving.client.get("/nodes"))

        assert found["epoch"] == 4
        assert [(node["id"], node["url"], node["state"]) for node in found["nodes"]] == [
            ("a", nodes[0].url, "up"),
            ("b", nodes[1].url, "up"),
            ("c", "http://c.invalid/catalogue", "down"),
        ]
        assert [node["graphs_placed"] for node in found["nodes"]] == [1, 1, 1]

    def test_each_graph_is_read_from_one_of_them(self, serving: Serving) -> None:
        read = {node["id"]: node["graphs_read"] for node in content(serving.client.get("/nodes"))["nodes"]}

        assert (read["a"] + read["b"], read["c"]) == (1, 0)

    def test_node_that_lacks_graphs_says_how_many(self, serving: Serving) -> None:
        serving.list("0xb", described("https://p.example/2"))

        found = content(serving.client.get("/nodes"))["nodes"]

        assert [node.get("graphs_missing", 0) for node in found] == [1, 1, 0], "the third one is down"

    def test_weight_and_draining_are_shown(self, engine: Engine) -> None:
        serving = Serving(engine)
        serving.nodes = [
            Node("a", "http://a.invalid/c", "up", weight=2, draining=True),
            Node("b", "http://b.invalid/c", "suspect", draining=True, held_down_until=5 * 10**12),
        ]

        one, other = content(serving.client.get("/nodes"))["nodes"]

        assert (one["state"], one["weight"]) == ("draining", 2)
        assert (other["state"], other["held_down_until"]) == ("suspect", 5 * 10**12)

    def test_inspections_are_shown(self, engine: Engine) -> None:
        view = RingView(Ring(1, (Node("a", "http://a.invalid/c"),), 50, 2))
        inspections = {"a": Inspection("a", 7, graphs=5, lost=2, problem="odd")}
        app = create_app(engine, ReplicaSelector(lambda: view), lambda: view, inspections=inspections)

        (node,) = content(app.test_client().get("/nodes"))["nodes"]

        assert node["inspection"] == {"node": "a", "at": 7, "graphs": 5, "lost": 2, "problem": "odd"}

    def test_there_are_none(self, engine: Engine) -> None:
        assert content(Serving(engine).client.get("/nodes")) == {"epoch": 0, "nodes": []}
