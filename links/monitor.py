"""Watches the catalogue nodes and publishes the ring.

Run it alone with ``python links/monitor.py -k localhost:9092``; start more of it and one watches while the others stand by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from catena_core import Electron
from topology import records, topics
from topology.catalogue_link import CatalogueLink
from topology.clients.http import WebClient
from topology.membership import CatalogueList, Member, MembershipError, OwnersNodes
from topology.node_health import NodeHealth
from topology.records import RING_KEY, Node, OfferingHead, Ring
from topology.settings import Mode

_MOST_AT_ONCE = 64


class Watch:
    """A node's health, and the schedule of its checks."""

    def __init__(self, health: NodeHealth) -> None:
        self.health = health
        self.check: Future[None] | None = None
        self.next_check = 0.0


class Monitor(CatalogueLink):
    """Checks every node's health and publishes the ring, with a new epoch for each change.

    A node that falls silent becomes suspect and keeps its place for a grace period. After that it is down, and its graphs move
    to others. The checks run side by side, so a hung node delays no other. The one partition of the ring's topic belongs to one
    instance at a time: that instance watches.

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
        self._web = WebClient(settings.node_timeout)
        self._workers = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="check")
        self._ring: Ring | None = None
        self._leading = threading.Event()
        self._watches: dict[Member, Watch] = {}
        self._last_error = ""
        if settings.mode is Mode.OPERATOR:
            self._list = CatalogueList(settings.catalogue_list)
        elif settings.mode is Mode.OWNERS:
            self._owners = OwnersNodes(settings, self._web)
            self._sources = self.table(topics.OFFERINGS, decode=_owner_and_source)

    def assigned(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Become the instance that watches, once the ring has been read."""

    def replayed(self, partition: tuple[str, int]) -> None:
        """Start to watch, now that the last published ring is known."""
        self._watches = {}
        self._leading.set()
        self.logger.log("watching the nodes")

    def revoked(self, partitions: Sequence[tuple[str, int]]) -> None:
        """Leave the watch to another instance."""
        self._leading.clear()

    def transform(self, electron: Electron) -> None:
        """Remember a published ring."""
        if electron.key == RING_KEY and electron.value is not None:
            ring = records.from_text(electron.value, Ring)
            if self._ring is None or ring.epoch > self._ring.epoch:
                self._ring = ring

    def generator(self) -> None:
        """Start the checks that are due, and publish the ring if it has changed."""
        if not self._leading.wait(0.2):
            return
        members = self._members()
        now = time.monotonic()
        for member in members:
            watch = self._watches.get(member)
            if watch is None:
                watch = self._watches[member] = Watch(
                    NodeHealth(member, self._web, self.logger, self.settings.node_protocol)
                )
            if watch.check is None and now >= watch.next_check:
                watch.next_check = now + self.settings.node_health_check_interval
                watch.check = self._workers.submit(watch.health.check)
            elif watch.check is not None and watch.check.done():
                watch.check = None
        for gone in self._watches.keys() - set(members):
            del self._watches[gone]
        self.submit(self._publish, members)
        self.wait(min(0.1, self.settings.node_health_check_interval / 4))

    def finish(self) -> None:
        """Abandon checks that hang."""
        if hasattr(self, "_workers"):
            self._workers.shutdown(wait=False, cancel_futures=True)
        if hasattr(self, "_owners"):
            self._owners.close()

    def _members(self) -> tuple[Member, ...]:
        mode = self.settings.mode
        if mode is Mode.CENTRALISED:
            return (Member("global-catalogue", self.settings.global_catalogue_url),)
        on_ring = tuple(Member(node.id, node.url) for node in self._ring.nodes) if self._ring else ()
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
            return on_ring
        return members

    # The ring

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
        self._ring = ring
        self.send(Electron(RING_KEY, records.to_text(ring)))
        states = ", ".join(f"{node.id} {node.state}" for node in nodes)
        self.logger.log(f"ring epoch {epoch}: {states or 'no nodes'}")

    def _next_state(self, member: Member, before: Node | None, epoch: int) -> Node | None:
        """Return the node as the ring should show it; ``None`` for a new node before its first check."""
        health = self._watches[member].health if member in self._watches else None
        if health is None or health.is_healthy is None:
            return before
        if before is not None and before.url != member.url:
            before = None
        if health.is_healthy:
            returned = before is None or before.state != "up"
            protocol = health.protocol or (before.protocol if before else "sedimark")
            since = epoch if returned or before is None else before.since
            return Node(member.id, member.url, "up", since, protocol)
        if before is None:
            return Node(member.id, member.url, "down")
        silent_for = time.monotonic() - health.last_answer
        over = before.state == "down" or silent_for >= self.settings.node_grace_period
        return Node(member.id, member.url, "down" if over else "suspect", before.since, before.protocol)


def _same(one: Ring, other: Ring) -> bool:
    return (one.nodes, one.virtual_nodes, one.replicas) == (other.nodes, other.virtual_nodes, other.replicas)


def _owner_and_source(_address: str, value: Any) -> tuple[str, str]:
    offering = records.from_text(value, OfferingHead)
    return offering.owner, offering.source


if __name__ == "__main__":
    Monitor().start()
