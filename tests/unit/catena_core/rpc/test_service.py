"""An instance's part in remote calls over Kafka: what becomes of it when a broker is slow at its start."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core import topics
from catena_core.embedded import EmbeddedBroker
from catena_core.errors import RPCError
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import RpcService, service
from catena_core.rpc.messages import Alive, to_wire
from tests.helpers.messages import Message as Received
from tests.helpers.waiting import eventually


class Nothing:
    """Has no methods."""


def test_an_instance_whose_broker_was_slow_at_its_start_meets_the_others_later(monkeypatch, caplog):
    slow, ensure = ["late"], topics.ensure

    def ensure_late(*args, **kwargs):
        if slow:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        ensure(*args, **kwargs)

    monkeypatch.setattr(service, "ensure", ensure_late)
    monkeypatch.setattr(service, "_AGAIN_AFTER", 0.05)
    with EmbeddedBroker() as broker:
        late, other = (
            RpcService(Nothing(), uid=name, group=name, endpoint=broker.endpoint, logger=LinkLogger(name))
            for name in ("late", "other")
        )
        late.start()
        with pytest.raises(RPCError, match="do not work here"):
            late.call("other", "any")
        slow.clear()
        other.start()
        for instance in (late, other):
            eventually(lambda seen=instance.instances.by_uid: set(seen) == {"late", "other"}, 60)
        assert caplog.text.count("going on without remote calls") == 1
        late.close()
        other.close()


def test_a_message_that_cannot_be_read_takes_none_of_those_behind_it_along():
    class Odd:
        """A message with a header whose name is not UTF-8, as Kafka's client gives it."""

        headers_set = None

        def error(self):
            return None

        def headers(self):
            raise SystemError("returned NULL without setting an exception")

        def set_headers(self, headers):
            self.headers_set = headers

        def value(self):
            return b""

    class Batch:
        """A consumer with one odd message and a good one behind it."""

        def __init__(self, good):
            self.messages = [Odd(), good]

        def poll(self, _timeout):
            if not self.messages:
                instance._stop.set()
                return None
            return self.messages.pop(0)

        def consume(self, _most, _timeout):
            messages, self.messages = self.messages, []
            return messages

    with EmbeddedBroker() as broker:
        instance = RpcService(Nothing(), uid="a", group="a", endpoint=broker.endpoint, logger=LinkLogger("a"))
        wire = to_wire(Alive("b", "b", "B", "host", 1.0, False))
        good = Received(headers=list(wire.headers), value=wire.value)
        instance._unavailable = None
        instance._serve(Batch(good))
    assert "b" in instance.instances.by_uid
