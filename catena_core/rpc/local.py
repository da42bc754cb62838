"""Remote calls within one process, for tests that need no broker."""

from __future__ import annotations

from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc.messages import Wire
from catena_core.rpc.peer import OnFailure, Peer


class LocalRpc:
    """Carries calls among the links of one test.

    Everything passes through the wire format, as it would on Kafka. A method runs in the thread of its caller, so a test sees
    its effects as soon as the call or notification returns.
    """

    def __init__(self) -> None:
        self._peers: list[Peer] = []

    def join(self, target: object, *, uid: str, group: str, kind: str | None = None, logger: LinkLogger) -> Peer:
        """Let an object take part.

        Args:
            target: The object whose methods can be called; usually a link.
            uid: Tells it from all others.
            group: Its consumer group.
            kind: The name by which all of its class are called; the name of its class unless given.
            logger: The link's log.

        Returns:
            Its part; the object is gone for the others when it is closed.
        """
        peer = Peer(target, uid=uid, group=group, kind=kind, logger=logger, send=self._deliver, threads=0)
        self._peers.append(peer)
        peer.announce(asks=True)
        return peer

    def _deliver(self, wire: Wire, _on_failure: OnFailure) -> None:
        for peer in list(self._peers):
            peer.take(wire)
