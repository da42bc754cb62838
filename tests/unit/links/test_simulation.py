"""Whatever happens, in whatever order: once it is quiet, every graph stands on exactly its owners, as it should be."""

from __future__ import annotations

import random

import pytest

from tests.helpers.simulation import World
from topology.records import NodeState

NODES = [f"n{number}" for number in range(5)]
ADDRESSES = [f"0x{number}" for number in range(8)]
STATES: list[NodeState] = ["up", "up", "up", "up", "suspect", "down"]
GRAPHS = [f"https://p.example/{number}" for number in range(6)]


def happen(world: World, chance: random.Random) -> None:
    """One thing of the many that can happen."""
    name, address, graph = chance.choice(NODES), chance.choice(ADDRESSES), chance.choice(GRAPHS)
    match chance.choices(
        [
            "offer",
            "withdraw",
            "write",
            "state",
            "remove",
            "drain",
            "weigh",
            "wipe",
            "forget",
            "edit",
            "router",
            "writer",
            "inspect",
            "fault",
            "refuse",
            "time",
        ],
        [20, 6, 40, 8, 1, 2, 1, 2, 2, 2, 1, 1, 3, 3, 1, 1],
    )[0]:
        case "offer":
            world.offer(
                address,
                world.graph_of.get(address, graph) if chance.random() < 0.8 else graph,
                str(chance.randrange(12)),
            )
        case "withdraw" if address in world.graph_of:
            world.withdraw(address)
        case "write":
            world.write_once(name)
        case "state":
            world.set_state(name, chance.choice(STATES))
        case "remove" if name in world.nodes:
            world.remove(name)
        case "drain" if name in world.nodes:
            world.alter(name, draining=chance.random() < 0.5)
        case "weigh" if name in world.nodes:
            world.alter(name, weight=chance.choice([0.5, 1.0, 3.0]))
        case "wipe" if name in world.stores:
            world.stores[name].graphs.clear()
            if name in world.nodes:
                world.set_state(name, "suspect")
                world.set_state(name, "up")
        case "forget" if name in world.stores:
            for lost in sorted(world.stores[name].graphs)[:: chance.choice([1, 2])]:
                del world.stores[name].graphs[lost]
        case "edit" if name in world.stores and world.stores[name].graphs:
            world.stores[name].graphs[chance.choice(sorted(world.stores[name].graphs))] = f"by hand {chance.random()}"
        case "router":
            world.restart_router()
        case "writer":
            world.restart_writer()
        case "inspect":
            world.inspect()
        case "fault" if name in world.stores:
            world.stores[name].fault = chance.choice(["fails", "hangs"])
        case "refuse":
            world.refused ^= {chance.choice([offered.digest for offered in world.contents.values()] or [""])}
        case "time":
            world.clock.now += 200


@pytest.mark.parametrize("replicas", [1, 2, 3])
@pytest.mark.parametrize("seed", range(25))
def test_it_comes_to_rest_and_is_right(seed: int, replicas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    world = World(seed, monkeypatch, replicas)
    for name in NODES[:3]:
        world.set_state(name, "up")
    for _ in range(3):
        for _ in range(60):
            happen(world, chance)
        world.refused.clear()
        world.restart_router()
        world.settle()
        world.check()
    world.restart_router()
    assert world.settle() == 0, "it is right, so there is nothing to do"


@pytest.mark.parametrize("seed", range(10))
def test_drain_never_leaves_a_graph_with_fewer_copies_than_before(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    world = World(seed, monkeypatch, replicas=2)
    for name in NODES:
        world.set_state(name, "up")
    for number in range(40):
        world.offer(f"0x{number}", f"https://p.example/{number}", "content")
    world.settle()
    wanted = world.rightful()
    for name in chance.sample(NODES, 2):
        world.alter(name, draining=True)
        while waiting := [node for node, queues in world.queues.items() if any(queues.values())]:
            world.write_once(chance.choice(waiting))
            for graph, right in wanted.items():
                assert world.copies(graph, right.digest) >= 2
        assert world.stores[name].graphs == {}
    world.settle()
    world.check()


@pytest.mark.parametrize("seed", range(5))
def test_node_that_joins_while_offerings_come_in_gets_its_share_and_costs_no_copy(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    world = World(seed, monkeypatch, replicas=2)
    for name in NODES[:3]:
        world.set_state(name, "up")
    for number in range(30):
        world.offer(f"0x{number}", f"https://p.example/{number}", "content")
    world.settle()
    before = world.rightful()
    world.set_state(NODES[3], "up")
    for number in range(30, 60):
        world.offer(f"0x{number}", f"https://p.example/{number}", "content")
        for node in chance.sample(list(world.queues), len(world.queues)):
            world.write_once(node)
        for graph, right in before.items():
            assert world.copies(graph, right.digest) >= 2
    world.settle()
    world.check()
    assert len(world.stores[NODES[3]].graphs) > 10
