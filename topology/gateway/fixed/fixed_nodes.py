"""The nodes of a list and their health, which a gateway without Kafka checks itself instead of the monitor."""

from __future__ import annotations

import threading
from collections.abc import Callable

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import Access, WebClient
from topology.gateway.fixed.default_graph import DefaultGraphCheck
from topology.gateway.periodic_task import PeriodicTask
from topology.membership import CatalogueList, Member, MembershipError
from topology.node_health import NodeHealth
from topology.records import Node, NodeState, Ring
from topology.ring import RingView

_LIST_INTERVAL = 1.0  # seconds between two looks at the file


class FixedNodes:
    """Follows a list of nodes and checks the health of each.

    Args:
        members: The list.
        interval: Seconds between two checks of a node.
        timeout: Seconds that a node may take to answer.
        logger: Logs nodes that fall silent or come back, and a list that cannot be read.
        on_change: Called with the nodes when one has changed, one call at a time, in any thread.
        access: The nodes that it may ask, and the credentials for them.

    Raises:
        MembershipError: The list cannot be read.
    """

    def __init__(
        self,
        members: CatalogueList,
        interval: float,
        timeout: float,
        logger: LinkLogger,
        on_change: Callable[[RingView], None],
        access: Access | None = None,
    ) -> None:
        self._list = members
        self._interval = interval
        self._web = WebClient(timeout, access=access)
        self._logger = logger
        self._on_change = on_change
        self._lock = threading.RLock()
        self._checked: dict[Member, _CheckedNode] = {}
        self._last_error = ""
        self._ring: Ring | None = None
        self._view = RingView(None)
        self._members = members.members()
        self._reading = PeriodicTask(self._read, "list of nodes")

    def start(self) -> None:
        """Start to read the list and to check the nodes."""
        self._reading.start()

    @property
    def ring(self) -> RingView:
        """The current nodes; they own no graphs, since nothing is placed on them."""
        return self._view

    def are_checked(self) -> bool:
        """Tell whether each node has been checked at least once."""
        with self._lock:
            return bool(self._view.nodes) and all(node.state != "suspect" for node in self._view.nodes.values())

    def close(self) -> None:
        """Stop reading and checking."""
        with self._lock:
            self._reading.stop()
            for node in self._checked.values():
                node.stop()

    def _read(self) -> float:
        try:
            self._members = self._list.members()
            self._last_error = ""
        except MembershipError as error:
            if str(error) != self._last_error:
                self._last_error = str(error)
                self._logger.log(f"{error}; the nodes stay as they are", level="error")
        with self._lock:
            if not self._reading.stopped:
                for gone in self._checked.keys() - set(self._members):
                    self._checked.pop(gone).stop()
                for member in self._members:
                    if member not in self._checked:
                        health = NodeHealth(member, self._web, self._logger)
                        default_graph = DefaultGraphCheck(member.id, self._web, self._logger)
                        self._checked[member] = _CheckedNode(
                            member, health, default_graph, self._interval, self._publish
                        )
        self._publish()
        return _LIST_INTERVAL

    def _publish(self) -> None:
        """Publish the nodes if they differ from those published last."""
        with self._lock:
            before = {node.id: node for node in self._ring.nodes} if self._ring else {}
            epoch = self._ring.epoch + 1 if self._ring else 1
            nodes = tuple(
                self._checked[member].as_node(before.get(member.id), epoch)
                for member in self._members
                if member in self._checked
            )
            if self._ring is None or nodes != self._ring.nodes:
                self._ring = Ring(epoch, nodes, virtual_nodes=1, replicas=0)
                self._view = RingView(self._ring)
                self._on_change(self._view)


class _CheckedNode:
    """One node, checked periodically."""

    def __init__(
        self,
        member: Member,
        health: NodeHealth,
        default_graph: DefaultGraphCheck,
        interval: float,
        on_check: Callable[[], None],
    ) -> None:
        self._member = member
        self._health = health
        self._default_graph = default_graph
        self._interval = interval
        self._on_check = on_check
        self._task = PeriodicTask(self._check, f"health of {member.id}")
        self._task.start()

    def as_node(self, before: Node | None, epoch: int) -> Node:
        """Return the node with its state; ``suspect`` until its first check."""
        is_healthy = self._health.is_healthy
        if not is_healthy:
            state: NodeState = "suspect" if is_healthy is None else "down"
            return Node(self._member.id, self._member.url, state, problem=self._health.problem)
        stays = before is not None and before.state == "up" and before.url == self._member.url
        since = before.since if stays and before else epoch
        return Node(
            self._member.id,
            self._member.url,
            "up",
            since,
            endpoints=self._health.endpoints,
            problem=self._default_graph.problem,
        )

    def stop(self) -> None:
        self._health.is_abandoned = True
        self._task.stop()

    def _check(self) -> float:
        self._health.check()
        if not self._task.stopped:
            self._on_check()
        if self._health.is_healthy and not self._task.stopped:
            before = self._default_graph.problem
            self._default_graph.check(self.as_node(None, 0).sparql_url)
            if self._default_graph.problem != before:
                self._on_check()
        return self._interval
