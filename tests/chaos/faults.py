"""The faults: each hurts something of the world for real, holds it for a while, and lets it go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.nodes import ChaosNode
from tests.chaos.world import World
from tests.helpers.waiting import eventually

Act = Callable[[World, float], None]


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: Its name in the table.
        target: The part that it hurts; faults with the same target never overlap.
        act: Hurts the world for some seconds; when it returns, the cause is gone.
    """

    name: str
    target: str
    act: Act


def _kill_links(kind: str = "", times: int = 3) -> Act:
    def act(world: World, seconds: float) -> None:
        for _ in range(times):
            world.links.kill(world.rng, kind)
            time.sleep(seconds / times)

    return act


def _kill_kafka(world: World, _: float) -> None:
    """Kill all brokers at once, and start them again."""
    for broker in world.brokers:
        broker.kill()
    _start_brokers(world)


def _stop_kafka(world: World, _: float) -> None:
    """Restart the brokers one after the other, as an operator would."""
    for broker in world.brokers:
        broker.stop()
        broker.start()
        broker.wait_until_ready()


def _start_brokers(world: World) -> None:
    for broker in world.brokers:
        broker.start()
    for broker in world.brokers:
        broker.wait_until_ready()


def _lose_a_broker(world: World, seconds: float) -> None:
    broker = world.rng.choice(world.brokers)
    broker.kill()
    time.sleep(seconds)
    broker.start()
    broker.wait_until_ready()


def _empty_redis(world: World, seconds: float) -> None:
    world.redis.kill()
    time.sleep(seconds)
    world.redis.restart()


def _in_memory(world: World) -> ChaosNode:
    return world.rng.choice([node for node in world.nodes if not node.keeps])


def _freeze_node(world: World, seconds: float) -> None:
    node = _in_memory(world)
    node.freeze()
    try:
        time.sleep(seconds)
    finally:
        node.thaw()


def _kill_node(world: World, seconds: float) -> None:
    node = _in_memory(world)
    node.kill()
    time.sleep(seconds)
    node.start()


def _wipe_node(world: World, _: float) -> None:
    """Come back empty before a health check can notice."""
    node = _in_memory(world)
    node.kill()
    node.start()


def _fail_writes(status: int) -> Act:
    def act(world: World, seconds: float) -> None:
        node = _in_memory(world)
        node.fail_writes(status)
        try:
            time.sleep(seconds)
        finally:
            node.be_well()

    return act


def _restore_backup(world: World, seconds: float) -> None:
    """Set a node back to its state some time ago."""
    (node,) = [node for node in world.nodes if node.keeps]
    node.back_up()
    time.sleep(seconds)
    node.restore()


def _misbehave(listing: str = "", hung: float = 0.0) -> Act:
    def act(world: World, seconds: float) -> None:
        world.ledger.misbehave(listing, hung)
        try:
            time.sleep(seconds)
        finally:
            world.ledger.misbehave()

    return act


def _shrink(listing: str) -> Act:
    """Give a wrong listing to one look: a later one must say the same to be believed."""

    def act(world: World, _: float) -> None:
        world.ledger.misbehave(listing, times=1)
        try:
            eventually(lambda: not world.ledger.misbehaves, 300)
        finally:
            world.ledger.misbehave()

    return act


FAULTS = (
    Fault("links killed (kill -9), any", "links", _kill_links()),
    Fault("routers killed", "links", _kill_links("router")),
    Fault("writers killed", "links", _kill_links("writer")),
    Fault("fetchers and generators killed", "links", _kill_links("fetcher")),
    Fault("monitors killed", "links", _kill_links("monitor")),
    Fault("Kafka killed (kill -9), all brokers", "kafka", _kill_kafka),
    Fault("Kafka restarted (clean)", "kafka", _stop_kafka),
    Fault("one of three brokers lost", "kafka", _lose_a_broker),
    Fault("Redis killed and back empty", "redis", _empty_redis),
    Fault("node hung (SIGSTOP)", "node", _freeze_node),
    Fault("node dead, back empty", "node", _kill_node),
    Fault("node back empty at once", "node", _wipe_node),
    Fault("node read-only (403)", "node", _fail_writes(403)),
    Fault("node read-only (405)", "node", _fail_writes(405)),
    Fault("node failing (500)", "node", _fail_writes(500)),
    Fault("node full (507)", "node", _fail_writes(507)),
    Fault("node says 200, stores nothing", "node", _fail_writes(200)),
    Fault("node set back to an old backup", "node", _restore_backup),
    Fault("booth hangs", "booth", _misbehave("hang")),
    Fault("booth answers junk", "booth", _misbehave("junk")),
    Fault("booth lists half, once", "booth", _shrink("half")),
    Fault("booth lists nothing, once", "booth", _shrink("empty")),
    Fault("a third of the providers hang", "provider", _misbehave(hung=0.33)),
)
_BY_NAME = {fault.name: fault for fault in FAULTS}


def named(*names: str) -> tuple[Fault, ...]:
    """Return faults by their names."""
    return tuple(_BY_NAME[name] for name in names)


def possible(brokers: int) -> tuple[Fault, ...]:
    """Return the faults that a world with so many brokers may suffer."""
    return tuple(fault for fault in FAULTS if brokers > 1 or fault.name != "one of three brokers lost")
