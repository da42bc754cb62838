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
            "wipe",
            "router",
            "writer",
            "inspect",
            "fault",
            "refuse",
            "time",
        ],
        [20, 6, 40, 8, 1, 2, 1, 1, 3, 3, 1, 1],
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
        case "wipe" if name in world.stores:
            world.stores[name].graphs.clear()
            if name in world.nodes:
                world.set_state(name, "suspect")
                world.set_state(name, "up")
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
