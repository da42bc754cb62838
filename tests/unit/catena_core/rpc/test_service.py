"""An instance's part in remote calls over Kafka: what becomes of it when a broker is slow at its start."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from catena_core import topics
from catena_core.embedded import EmbeddedBroker
from catena_core.errors import RPCError
from catena_core.monitoring.logs import LinkLogger
from catena_core.rpc import RpcService, service
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
