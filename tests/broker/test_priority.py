"""Several input topics under saturation: who gets how much, and that nobody leaves and joins the group for it."""

import time
from collections import Counter
from typing import Any

import pytest
from prometheus_client import generate_latest

from catena_core import Link
from tests.helpers.links import link
from tests.helpers.waiting import eventually

# Of the electrons that are counted, the share of a topic may differ by so much: what was fetched first is served first.
TOLERANCE = 0.15


class Slow(Link):
    """Takes a while for each electron, and notes where they came from."""

    def setup(self):
        self.served = []

    def transform(self, electron):
        # Until all topics were fetched, however busy the machine is.
        time.sleep(0.001 if self.served else 1.0)
        self.served.append(electron.previous_topic)

    @property
    def rebalances(self):
        runtime: Any = self._catena.runtime
        registry = runtime._metrics.registry
        text = generate_latest(registry).decode()
        return float(next(line for line in text.splitlines() if line.startswith("catena_rebalances_total ")).split()[1])


def served(broker, run, counts, mode, window=100):
    """Count what a link served of each topic while all had work; return that and the link."""
    topics = tuple(broker.topic(f"in{number}", partitions=2) for number in range(len(counts)))
    for topic, count in zip(topics, counts, strict=True):
        broker.produce(topic, ((f"k{number}", "v") for number in range(count)))
    slow = run(link(Slow, broker, topics, input_mode=mode, exp_window_size=window, num_rpc_threads=0))
    total = sum(counts)
    eventually(lambda: len(getattr(slow, "served", ())) == total)
    return topics, slow


def window(slow, first, last):
    return Counter(slow.served[first:last])


@pytest.mark.parametrize(("mode", "factor"), [("exp", 1.7), ("parity", 1.0)])
def test_topics_with_work_share_the_link_as_the_mode_says(broker, run, mode, factor):
    topics, slow = served(broker, run, (700, 700, 700), mode)
    # From the moment that all were fetched to long before one is used up.
    part = window(slow, 100, 1000)
    weights = [factor**2, factor, 1.0]
    for topic, weight in zip(topics, weights, strict=True):
        assert part[topic] == pytest.approx(900 * weight / sum(weights), rel=TOLERANCE), part
    assert Counter(slow.served) == dict.fromkeys(topics, 700)
    assert slow.rebalances == 1, "a link that takes turns stays in its group"


def test_the_share_of_an_idle_topic_goes_to_the_others(broker, run):
    topics, slow = served(broker, run, (0, 600, 600), "exp")
    part = window(slow, 100, 800)
    assert part[topics[1]] / part[topics[2]] == pytest.approx(1.7, rel=TOLERANCE), part
    assert slow.rebalances == 1


def test_a_topic_that_comes_late_gets_its_share_soon(broker, run):
    busy, late = broker.topic("busy", partitions=2), broker.topic("late", partitions=2)
    broker.produce(busy, ((f"k{number}", "v") for number in range(3000)))
    slow = run(link(Slow, broker, (late, busy), input_mode="exp", exp_window_size=100, num_rpc_threads=0))
    eventually(lambda: len(getattr(slow, "served", ())) > 300)
    broker.produce(late, ((f"k{number}", "v") for number in range(600)))  # so many that a fetch does not count
    eventually(lambda: Counter(slow.served)[late] == 600)
    begin = slow.served.index(late)
    end = len(slow.served) - slow.served[::-1].index(late)
    part = window(slow, begin, end)
    assert part[late] / part[busy] == pytest.approx(1.7, rel=TOLERANCE), part
    assert slow.rebalances == 1
