"""The health of a catalogue node, as its checks find it."""

from __future__ import annotations

import time
from typing import Literal

from catena_core.monitoring.logs import LinkLogger
from topology.clients.http import WebClient
from topology.clients.node import NodeClient
from topology.clients.node_discovery import UndetectedError, discover
from topology.membership import Member
from topology.records import NodeProtocol


class NodeHealth:
    """Checks one node and logs when it falls silent or answers again.

    Args:
        member: The node.
        web: The HTTP client, whose time-out bounds a check.
        logger: Logs changes.
        protocol: How the node is written to; ``auto`` asks the node, ``None`` leaves it open.

    Attributes:
        is_healthy: The result of the last check; ``None`` before the first.
        last_answer: When the node was last healthy, by ``time.monotonic()``; before that, when this object was made.
        protocol: How the node is written to, once known.
        endpoints: The node's endpoints, once found. They are looked for again after each silence.
        problem: The reason why the node cannot be used although it answers; empty if there is none.
        silence: The reason of the last check that got no answer; empty if the last one got one.
        is_abandoned: Set it to discard the result of a check under way.
    """

    def __init__(
        self, member: Member, web: WebClient, logger: LinkLogger, protocol: NodeProtocol | Literal["auto"] | None = None
    ) -> None:
        self.is_healthy: bool | None = None
        self.last_answer = time.monotonic()
        self.protocol: NodeProtocol | None = None if protocol == "auto" else protocol
        self.endpoints = member.endpoints
        self.problem = ""
        self.silence = ""
        self.is_abandoned = False
        self._wanted = protocol
        self._member = member
        self._id = member.id
        self._web = web
        self._client: NodeClient | None = None
        self._logger = logger

    @property
    def client(self) -> NodeClient | None:
        """The node's client, another one after each silence; ``None`` while the node is not healthy."""
        return self._client if self.is_healthy else None

    def check(self) -> None:
        """Check the node once; no behaviour of a node raises an error."""
        problem, undetected = "it says that it is not well", ""
        try:
            is_healthy = self._is_healthy()
        except UndetectedError as error:
            is_healthy, undetected = False, str(error)
        except Exception as error:  # a node may break the client in any way, and is unhealthy then
            is_healthy, problem = False, str(error)
        if self.is_abandoned:
            return
        if undetected and undetected != self.problem:
            self._logger.log(f"{self._id} cannot be used: {undetected}", level="error")
        elif not is_healthy and not undetected and self.is_healthy is not False:
            self._logger.log(f"{self._id} does not answer: {problem}", level="warning")
        elif is_healthy and self.is_healthy is False:
            self._logger.log(f"{self._id} answers again")
        self.is_healthy, self.problem = is_healthy, undetected
        self.silence = "" if is_healthy or undetected else problem
        if is_healthy:
            self.last_answer = time.monotonic()
        else:
            self._client = None  # another server may answer at its address next time

    def _is_healthy(self) -> bool:
        if (self._client or NodeClient(self._member.url, self._web)).says_healthy() is False:
            return False
        if self._client is None:
            self._discover()  # which asks a query, too
        else:
            self._client.check_queries()
        return True

    def _discover(self) -> None:
        member = self._member
        found = discover(member.url, self._web, member.endpoints, self._wanted)
        self.endpoints = found.endpoints
        if self._wanted is not None:
            self.protocol = found.protocol
        self._client = NodeClient(member.url, self._web, found.protocol, found.endpoints)
