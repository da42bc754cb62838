"""Watches the catalogue nodes and publishes the ring.

Run it alone with ``python links/monitor.py -k localhost:9092``; start more of it and one watches while the others stand by.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec

from catena_core import Electron
from catena_core.errors import CatenaError
from catena_core.text import bounded, redacted
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.clients.http import WebClient
from topology.hold_down import HoldDown
from topology.membership import CatalogueList, Member, MembershipError, OwnersNodes
from topology.node_health import NodeHealth
from topology.records import RING_KEY, Endpoints, Node, OfferingHead, Ring
from topology.ring_publisher import FencedError, NotPublishedError, RingPublisher
from topology.same_store import SameStores
from topology.settings import Mode

_MOST_AT_ONCE = 64
_STATES = ("up", "suspect", "down")
_LONGEST_REASON = 500


# Seconds until a monitor that could not publish takes over once more. One that was relieved knows it by then.
_AGAIN_AFTER_FAILURE, _AGAIN_AFTER_FENCING = 1.0, 15.0


class Watch:
    """A node's health, the schedule of its checks, and its hold-down."""

    def __init__(self, health: NodeHealth, hold_down: HoldDown) -> None:
        self.health = health
        self.hold_down = hold_down
        self.shown_until = hold_down.until
        self.shown_twin = ""
        self.silent_since: float | None = None
        self.check: Future[None] | None = None
        self.next_check = 0.0


class Monitor(CatalogueLink):
    """Checks every node's health and publishes the ring, with a new epoch for each change.

    A node that falls silent becomes suspect and keeps its place for a grace period. After that it is down, and its graphs move
    to others. A node that comes and goes repeatedly is taken up again only after growing pauses. A draining node keeps its
    graphs until others hold them. A node that is the store of another one, under a second address, is down. The checks run
    side by side, so a hung node delays no other.

    The one partition of the ring's topic belongs to one instance at a time: that instance watches. It publishes in transactions
    of one name, so Kafka refuses the ring of an instance that was relieved and does not know it.

    Settings: OPERATOR_PROVIDED with CATALOGUE_LIST, CENTRALISED with GC_URL and GC_PORT, or NODE_URL_TEMPLATE;
    NODE_HEALTH_CHECK_INTERVAL (30 s), NODE_TIMEOUT (10 s), NODE_GRACE_PERIOD (60 s), NODE_PROTOCOL,
    HASH_RING_VIRTUAL_NODES (150), OFFERING_REPLICA_COUNT (2).
    """

    inputs = (topics.RING,)
    outputs = (topics.RING,)
    replay = True

    def setup(self) -> None:
        """Prepare the source of the nodes that the settings name."""
        super().setup()
        settings = self.settings
        self._web = WebClient(settings.node_timeout, access=self.access.nodes)
        self._workers = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="check")
        self._stores = SameStores(settings.node_health_check_interval)
        self._ring: Ring | None = None
        self._leading = threading.Event()
        self._watches: dict[tuple[str, str, Endpoints], Watch] = {}
        self._last_error = ""
        self._lead_again_at = math.inf
        self._published = self.table(
            topics.RING, decode=lambda _, value: records.from_text(value, Ring), accept=records.is_newer_ring
        )
        self._drains = self.table(topics.DRAINS)
        self._publisher = (
            RingPublisher(
                self.kafka_endpoint,
                f"{self.consumer_group}.{topics.RING}",
                topics.RING,
                self.logger,
                self.options.properties,
            )
            if self.kafka_endpoint
            else None
        )
        if settings.mode is Mode.OPERATOR:
            self._list = CatalogueList(settings.catalogue_list)
            self._list.credentials = self.access.credentials
            self._list.members()  # a list that is broken from the start ends the link
        elif settings.mode is Mode.OWNERS:
            self._owners = OwnersNodes(settings, WebClient(settings.node_timeout, access=self.access.providers))
            self._sources = self.table(topics.OFFERINGS, decode=_owner_and_source)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Become the instance that watches, once the ring has been read."""

    def replayed(self, partition: tuple[str, int]) -> None:
        """Start to watch, now that the last published ring is known."""
        self._watches = {}
        self._lead()

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the watch to another instance."""
        self._leading.clear()
        self._lead_again_at = math.inf

    def _lead(self) -> None:
        """Become the only instance that can publish, and read what others published before."""
        self._lead_again_at = math.inf
        try:
            if self._publisher is not None:
                self._publisher.take_over()
            self._published.catch_up()
        except CatenaError as error:
            self._stand_by(error, _AGAIN_AFTER_FAILURE)
            return
        self._remember(self._published.get(RING_KEY))
        self._leading.set()
        self.logger.log("watching the nodes")

    def _stand_by(self, error: CatenaError, seconds: float) -> None:
        self._leading.clear()
        self._lead_again_at = time.monotonic() + seconds
        self.logger.log(f"{error}; standing by", level="warning")

    def _remember(self, ring: Ring | None) -> None:
        if ring is not None and (self._ring is None or ring.epoch > self._ring.epoch):
            self._ring = ring

    def transform(self, electron: Electron) -> None:
        """Remember a published ring."""
        if electron.key == RING_KEY and electron.value is not None:
            self._remember(records.from_text(electron.value, Ring))

    def generator(self) -> None:
        """Start the checks that are due, and publish the ring if it has changed."""
        if not self._leading.wait(0.2):
            if time.monotonic() >= self._lead_again_at:
                self._lead_again_at = math.inf
                self.submit(self._lead)
            return
        members = self._members()
        self.access.credentials.follow(members)
        now = time.monotonic()
        for member in members:
            watch = self._watches.get(_watched(member))
            if watch is None:
                watch = self._watches[_watched(member)] = Watch(
                    NodeHealth(member, self._web, self.logger, self.settings.node_protocol),
                    HoldDown(self.settings.node_health_check_interval, now, self._held_down_until(member, now)),
                )
            if watch.check is None and now >= watch.next_check:
                watch.next_check = now + self.settings.node_health_check_interval
                watch.check = self._workers.submit(watch.health.check)
            elif watch.check is not None and watch.check.done():
                watch.check = None
        for gone in self._watches.keys() - set(map(_watched, members)):
            del self._watches[gone]
        self._compare_stores(members, now)
        self.submit(self._publish, members)
        self.wait(min(0.1, self.settings.node_health_check_interval / 4))

    def finish(self) -> None:
        """Abandon checks that hang."""
        if hasattr(self, "_workers"):
            self._workers.shutdown(wait=False, cancel_futures=True)
            self._stores.close()
        if hasattr(self, "_owners"):
            self._owners.close()

    def _compare_stores(self, members: tuple[Member, ...], now: float) -> None:
        """Compare the nodes that have come up with the others; those come first that hold graphs by now."""
        states = {node.id: node.state for node in self._ring.nodes} if self._ring else {}
        placed = [node for node, state in states.items() if state != "down"]
        ordered = sorted(members, key=lambda member: _STATES.index(states.get(member.id, "down")))
        watches = self._watches  # another thread replaces it when this instance begins to watch
        checked = {member.id: watches[_watched(member)].health for member in ordered if _watched(member) in watches}
        if any(checked[node].is_healthy is None for node in placed if node in checked):
            return  # a newcomer that is compared before it would take its place
        self._stores.follow({node: health.client for node, health in checked.items() if health.client}, placed, now)

    def _members(self) -> tuple[Member, ...]:
        mode = self.settings.mode
        if mode is Mode.CENTRALISED:
            return (Member("global-catalogue", self.settings.global_catalogue_url),)
        on_ring = tuple(Member(node.id, node.url, node.weight) for node in self._ring.nodes) if self._ring else ()
        if mode is Mode.OWNERS:
            members = self._owners.members(self._sources.copy().values())
            # No node leaves the ring only because its owner's provider has not named its address yet.
            return members if self._owners.is_sure else tuple(dict.fromkeys((*on_ring, *members)))
        try:
            members = self._list.members()
            self._last_error = ""
        except MembershipError as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                self.logger.log(f"{error}; the nodes stay as they are", level="error")
            return (
                tuple(Member(node.id, node.url, node.weight, node.endpoints) for node in self._ring.nodes)
                if self._ring
                else ()
            )
        return members

    # The ring

    def _held_down_until(self, member: Member, now: float) -> float:
        """Return when a hold-down ends that another monitor began, on the monotonic clock; 0 if there is none."""
        ends = [node.held_down_until for node in self._ring.nodes if node.id == member.id] if self._ring else []
        seconds = ends[0] / 1000 - time.time() if ends else 0.0
        return now + seconds if seconds > 0 else 0.0

    def _publish(self, members: tuple[Member, ...]) -> None:
        """Publish the ring if it differs from the last one."""
        if not self._leading.is_set():
            return
        settings = self.settings
        if not members:
            return
        before = {node.id: node for node in self._ring.nodes} if self._ring else {}
        epoch = self._ring.epoch + 1 if self._ring else 1
        nodes = tuple(
            node for member in members if (node := self._next_state(member, before.get(member.id), epoch)) is not None
        )
        previous = self._ring.nodes if self._ring else ()
        ring = Ring(epoch, nodes, settings.hash_ring_virtual_nodes, settings.replicas, previous)
        still_asking = settings.mode is Mode.OWNERS and not self._owners.has_asked
        if self._ring is None and (still_asking or len(nodes) < len(members)):
            return  # the first ring waits for every node's first check, or the quickest node would get everything
        if self._ring is not None and _same(ring, self._ring):
            return
        try:
            if self._publisher is None:
                self.send(Electron(RING_KEY, records.to_text(ring)))
            else:
                self._publisher.publish(ring)
        except FencedError as error:
            self._stand_by(error, _AGAIN_AFTER_FENCING)
            return
        except NotPublishedError as error:
            self._stand_by(error, _AGAIN_AFTER_FAILURE)
            return
        self._ring = ring
        states = ", ".join(f"{node.id} {node.state}{' (draining)' * node.draining}" for node in nodes)
        self.logger.log(f"ring epoch {epoch}: {states or 'no nodes'}")

    def _next_state(self, member: Member, before: Node | None, epoch: int) -> Node | None:
        """Return the node as the ring should show it; ``None`` for a new node before its first check."""
        watch = self._watches.get(_watched(member))
        draining = member.id in self._drains
        if watch is None or not self._is_known(member, watch.health):
            return before and msgspec.structs.replace(before, weight=member.weight, draining=draining)
        problem = self._problem_of(member, watch)
        is_healthy = bool(watch.health.is_healthy) and not problem
        is_new = before is None or before.url != member.url
        node = Node(member.id, member.url, "down") if before is None or is_new else before
        node = msgspec.structs.replace(
            node,
            weight=member.weight,
            draining=draining,
            protocol=watch.health.protocol or node.protocol,
            endpoints=watch.health.endpoints if watch.health.is_healthy else node.endpoints,
            problem=problem,
            # The first reason stays: each change is an epoch of the ring.
            silence="" if node.state == "up" or is_new else node.silence,
        )
        if not (is_healthy or node.silence):
            node = msgspec.structs.replace(node, silence=bounded(redacted(watch.health.silence), _LONGEST_REASON))
        if is_new:
            return msgspec.structs.replace(node, state="up", since=epoch) if is_healthy else node
        return self._judge(watch, node, epoch, is_healthy)

    def _is_known(self, member: Member, health: NodeHealth) -> bool:
        """Tell whether a node has been checked, and compared with the others where it answers."""
        return health.is_healthy is False or self._stores.has_compared(member.id, health.client)

    def _problem_of(self, member: Member, watch: Watch) -> str:
        """Return why a node cannot be used though it answers; log when it is found to be the store of another one."""
        twin = self._stores.same_as(member.id)
        problem = f"it is the same store as {twin}, so both hold one copy: remove one of the two" if twin else ""
        if twin != watch.shown_twin:
            watch.shown_twin = twin
            said = f"cannot be used: {problem}" if twin else "is a store of its own by now"
            self.logger.log(f"{member.id} {said}", level="error" if twin else "info")
        return watch.health.problem or problem

    def _judge(self, watch: Watch, node: Node, epoch: int, is_healthy: bool) -> Node:
        """Return a known node in the state that follows from its checks."""
        now = time.monotonic()
        health, hold_down = watch.health, watch.hold_down
        if is_healthy and node.state == "up":
            return node
        if is_healthy and hold_down.may_return(now):
            watch.silent_since = None
            return msgspec.structs.replace(node, state="up", since=epoch, held_down_until=0, silence="")
        if is_healthy and hold_down.until != watch.shown_until:
            watch.shown_until = hold_down.until
            until = int((time.time() + hold_down.until - now) * 1000)
            node = msgspec.structs.replace(node, held_down_until=until)
        elif not is_healthy:
            if node.state == "up":
                hold_down.leave(now)
            hold_down.fail()
        if watch.silent_since is None:
            watch.silent_since = health.last_answer
        over = node.state == "down" or now - watch.silent_since >= self.settings.node_grace_period
        return msgspec.structs.replace(node, state="down" if over else "suspect")


def _watched(member: Member) -> tuple[str, str, Endpoints]:
    return member.id, member.url, member.endpoints


def _same(one: Ring, other: Ring) -> bool:
    return (one.nodes, one.virtual_nodes, one.replicas) == (other.nodes, other.virtual_nodes, other.replicas)


def _owner_and_source(_address: str, value: Any) -> tuple[str, str]:
    offering = records.from_text(value, OfferingHead)
    return offering.owner, offering.source


if __name__ == "__main__":
    Monitor().start()
