"""Calls among links: over Kafka, over HTTP, and within one test.

A method marked with ``@rpc`` can be called by every other link, and no other method can::

    from catena_core import Link, rpc

    class Counter(Link):
        total = 0

        @rpc
        def add(self, context, number):
            self.total += number
            return self.total

    # in any other link
    self.rpc_call("counter", "add", [3])

``methods`` finds and runs them, ``messages`` puts calls and answers on the wire, ``instances`` tracks the live instances, and
``peer`` is one link's part in all that. ``service`` carries messages over Kafka, ``local`` within a process. ``json_rpc`` and
``http`` let programs that are no links call the same methods.
"""

from typing import TYPE_CHECKING

from catena_core import on_use
from catena_core.rpc.methods import Context, Methods, rpc

if TYPE_CHECKING:
    from catena_core.rpc.instances import Instance, Instances
    from catena_core.rpc.local import LocalRpc
    from catena_core.rpc.peer import Peer
    from catena_core.rpc.service import RpcService
else:
    __getattr__, __dir__ = on_use.exports(
        __name__,
        {
            "Instance": "catena_core.rpc.instances",
            "Instances": "catena_core.rpc.instances",
            "LocalRpc": "catena_core.rpc.local",
            "Peer": "catena_core.rpc.peer",
            "RpcService": "catena_core.rpc.service",
        },
    )

del on_use

__all__ = ["Context", "Instance", "Instances", "LocalRpc", "Methods", "Peer", "RpcService", "rpc"]
