"""A link that Kafka throws out for good ends with the reason: it never stays up, healthy, and reads nothing."""

import pytest

from catena_core import Link
from catena_core.errors import ReadingError
from tests.helpers.links import Counting, link, quick
from tests.helpers.waiting import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.parametrize("broker", [pytest.param("apache", marks=pytest.mark.kafka)], indirect=True),
]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_static_member_whose_id_is_taken_ends_and_names_it(broker, run, protocol):
    more = {"group.protocol": protocol}
    source, target = broker.topic("in", 2), broker.topic("out", 1)

    class Reads(Counting):
        """Reads."""

    first = run(quick(Reads, broker, source, target, more, instance_id="shop-1", num_rpc_threads=0))
    assert first.wait_until_ready(30)
    second = run(quick(Reads, broker, source, target, more, instance_id="shop-1", num_rpc_threads=0))
    eventually(lambda: first.failure or second.failure)
    out, left = (first, second) if first.failure else (second, first)
    assert out.join(120) and isinstance(out.failure, ReadingError)
    assert "shop-1" in str(out.failure) and "--instance-id" in str(out.failure)
    broker.produce(source, [(str(number), f"later {number}") for number in range(20)])
    eventually(lambda: sum(key.startswith("later") for key in Reads.counts) == 20)
    assert left.failure is None


def test_nothing_to_begin_from_ends_the_link(broker, run):
    source = broker.topic("in", 1)

    class Reads(Link):
        def transform(self, electron):
            return None

    reads = run(link(Reads, broker, source, properties={"auto.offset.reset": "error"}, num_rpc_threads=0))
    assert reads.join(120)
    assert isinstance(reads.failure, ReadingError) and "auto.offset.reset" in str(reads.failure)


def test_group_of_another_protocol_ends_the_link(broker, run):
    source = broker.topic("in", 1)

    class Reads(Link):
        def transform(self, electron):
            return None

    class Replays(Reads):
        replay = True

    first = run(link(Reads, broker, source, num_rpc_threads=0))
    assert first.wait_until_ready(30)
    second = run(link(Replays, broker, source, num_rpc_threads=0))
    assert second.join(120)
    assert "use another group" in str(second.failure)
    assert first.failure is None
