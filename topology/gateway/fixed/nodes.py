"""The nodes of a list, and how they are: what the monitor tells elsewhere, a gateway without Kafka finds out by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import WebClient
from topology.clients.node import CatalogueNode
from topology.gateway.periodic_task import Turns
from topology.membership import CatalogueList, Member, MembershipError
from topology.records import Node, Ring
from topology.ring import RingView

_LOOK_AT_LIST = 1.0  # seconds between two looks at whether the file has changed


class FixedNodes:
    """Checks the health of each node of a list, and follows the list.

    Args:
        members: The list.
        interval: Seconds between two checks of a node.
        timeout: Seconds that a node may take to answer.
        logger: Told of nodes that fall silent or come back, and of a list that cannot be read.
        on_change: Called with the nodes when one has changed, one call at a time, in any thread.

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
    ) -> None:
        self._list = members
        self._interval = interval
        self._web = WebClient(timeout)
        self._logger = logger
        self._on_change = on_change
        self._lock = threading.RLock()
        self._checked: dict[Member, _Checked] = {}
        self._complaint = ""
        self._ring: Ring | None = None
        self._view = RingView(None)
        self._members = members.members()
        self._reading = Turns(self._read, "list of nodes")

    def start(self) -> None:
        """Begin to look."""
        self._reading.start()

    @property
    def ring(self) -> RingView:
        """The nodes as they are now. They own nothing: nothing is placed on them."""
        return self._view

    def are_checked(self) -> bool:
        """Whether it is known of each node whether it answers."""
        with self._lock:
            return bool(self._view.nodes) and all(node.state != "suspect" for node in self._view.nodes.values())

    def close(self) -> None:
        """Look no more."""
        with self._lock:
            self._reading.end()
            for node in self._checked.values():
                node.end()

    def _read(self) -> float:
        try:
            self._members = self._list.members()
            self._complaint = ""
        except MembershipError as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._logger.log(f"{error}; the nodes stay as they are", level="error")
        with self._lock:
            if not self._reading.ended:
                for gone in self._checked.keys() - set(self._members):
                    self._checked.pop(gone).end()
                for member in self._members:
                    if member not in self._checked:
                        self._checked[member] = _Checked(member, self._web, self._interval, self._logger, self._tell)
        self._tell()
        return _LOOK_AT_LIST

    def _tell(self) -> None:
        """Tell of the nodes if they are other ones, or otherwise, than told before."""
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


class _Checked:
    """One node, and whether it answers."""

    def __init__(
        self, member: Member, web: WebClient, interval: float, logger: LinkLogger, tell: Callable[[], None]
    ) -> None:
        self.is_healthy: bool | None = None
        self._member = member
        self._node = CatalogueNode(member.url, web)
        self._interval = interval
        self._logger = logger
        self._tell = tell
        self._turns = Turns(self._check, f"health of {member.id}")
        self._turns.start()

    def as_node(self, before: Node | None, epoch: int) -> Node:
        """As it stands among the nodes: suspect until it is known."""
        if not self.is_healthy:
            return Node(self._member.id, self._member.url, "suspect" if self.is_healthy is None else "down")
        stays = before is not None and before.state == "up" and before.url == self._member.url
        return Node(self._member.id, self._member.url, "up", before.since if stays and before else epoch)

    def end(self) -> None:
        self._turns.end()

    def _check(self) -> float:
        problem = "it says that it is not well"
        try:
            is_healthy = self._node.is_healthy()
        except Exception as error:  # whatever it is that such a node does, it is not well
            is_healthy, problem = False, str(error)
        if not self._turns.ended:
            if not is_healthy and self.is_healthy is not False:
                self._logger.log(f"{self._member.id} does not answer: {problem}", level="warning")
            elif is_healthy and self.is_healthy is False:
                self._logger.log(f"{self._member.id} answers again")
            self.is_healthy = is_healthy
            self._tell()
        return self._interval
