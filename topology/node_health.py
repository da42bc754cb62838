"""The health of a catalogue node, as its checks find it."""

from __future__ import annotations

import time
from typing import Literal

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.membership import Member
from topology.records import NodeProtocol


class NodeHealth:
    """Checks one node and logs when it falls silent or answers again.

    Args:
        member: The node.
        web: The HTTP client, whose time-out bounds a check.
        logger: Logs changes.
        protocol: How the node is written to; ``auto`` detects it at the first healthy check, ``None`` leaves it open.

    Attributes:
        is_healthy: The result of the last check; ``None`` before the first.
        last_answer: When the node was last healthy, by ``time.monotonic()``; before that, when this object was made.
        protocol: How the node is written to, once known.
        is_abandoned: Set it to discard the result of a check under way.
    """

    def __init__(
        self, member: Member, web: WebClient, logger: LinkLogger, protocol: NodeProtocol | Literal["auto"] | None = None
    ) -> None:
        self.is_healthy: bool | None = None
        self.last_answer = time.monotonic()
        self.protocol: NodeProtocol | None = None if protocol == "auto" else protocol
        self.is_abandoned = False
        self._detects_protocol = protocol == "auto"
        self._id = member.id
        self._client = NodeClient(member.url, web)
        self._logger = logger

    def check(self) -> None:
        """Check the node once; no behaviour of a node raises an error."""
        problem = "it says that it is not well"
        try:
            is_healthy = self._client.is_healthy()
            if is_healthy and self._detects_protocol:
                self.protocol = self._client.detect_protocol()
                self._detects_protocol = False
        except Exception as error:  # a node may break the client in any way, and is unhealthy then
            is_healthy, problem = False, str(error)
        if self.is_abandoned:
            return
        if not is_healthy and self.is_healthy is not False:
            self._logger.log(f"{self._id} does not answer: {problem}", level="warning")
        elif is_healthy and self.is_healthy is False:
            self._logger.log(f"{self._id} answers again")
        self.is_healthy = is_healthy
        if is_healthy:
            self.last_answer = time.monotonic()
