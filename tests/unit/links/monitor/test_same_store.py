"""Two addresses of one store are one node: the second one is down, and says why."""

from __future__ import annotations

from typing import Any

from tests.helpers.monitor import sandbox
from tests.helpers.sandbox_servers import Sandbox
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.records import Ring


def other_name(node: Sandbox) -> str:
    assert "127.0.0.1" in node.url
    return node.url.replace("127.0.0.1", "localhost")


def client_of(node: Sandbox) -> NodeClient:
    return NodeClient(node.url, WebClient(60))


def problems(watching: Any) -> dict[str, str]:
    return {node.id: node.problem for node in watching.rings[-1].nodes}


def test_the_second_address_of_a_store_is_down_from_the_first_ring_on(
    started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox]
) -> None:
    one, other = nodes
    write_list(a=one.url, b=other.url, c=other_name(one))
    watching = started()
    watching.until(lambda: watching.rings)

    assert sorted(watching.states.values()) == ["down", "up", "up"]
    twins = {"a": "c", "c": "a"}
    (down,) = [node for node, state in watching.states.items() if state == "down"]
    assert problems(watching) == {
        "a": "",
        "b": "",
        "c": "",
        down: f"it is the same store as {twins[down]}, so both hold one copy: remove one of the two",
    }


def test_no_marker_stays(started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox]) -> None:
    write_list(a=nodes[0].url, b=nodes[1].url)
    watching = started()
    watching.until(lambda: watching.rings)

    assert [client_of(node).graphs() for node in nodes] == [set(), set()]


def test_a_node_that_comes_later_is_compared_before_it_is_up(
    started: Any, write_list: Any, nodes: tuple[Sandbox, Sandbox]
) -> None:
    write_list(a=nodes[0].url)
    watching = started()
    watching.until(lambda: watching.states == {"a": "up"})
    write_list(a=nodes[0].url, b=nodes[1].url, c=other_name(nodes[0]))
    watching.until(lambda: len(watching.states) == 3 and watching.states["b"] == "up")

    assert watching.states == {"a": "up", "b": "up", "c": "down"}
    assert not any(node.id == "c" and node.state == "up" for ring in watching.rings for node in ring.nodes)


def test_of_two_that_were_up_the_first_one_stays(started: Any, write_list: Any, node: Sandbox) -> None:
    write_list(b=node.url, a=other_name(node))
    before = Ring(7, (sandbox("b", node.url), sandbox("a", other_name(node))), 20, 2)
    watching = started(before)
    watching.until(lambda: "suspect" in watching.states.values())

    assert watching.states == {"b": "up", "a": "suspect"}
    assert "same store as b" in problems(watching)["a"]


def test_the_second_address_takes_over_when_the_first_one_has_left(
    started: Any, write_list: Any, node: Sandbox
) -> None:
    write_list(a=node.url)
    watching = started()
    watching.until(lambda: watching.states == {"a": "up"})
    write_list(a=node.url, b=other_name(node))
    watching.until(lambda: watching.states == {"a": "up", "b": "down"})
    write_list(b=other_name(node))
    watching.until(lambda: watching.states == {"b": "up"})

    assert problems(watching) == {"b": ""}
