"""Metrics: what Prometheus reads is what was counted."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from catena_core.monitoring.metrics import BUCKETS, ConsumerState, Metrics


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(name, {label: str(text) for label, text in labels.items()})


def test_every_counter_counts_under_its_own_name():
    metrics = Metrics()
    metrics.consumed("in", 3, 500)
    metrics.consumed("in", 3, 20)
    metrics.produced("out", 7)
    metrics.failed("in", 2)
    metrics.retried("in")
    metrics.dead_letters("in")
    metrics.committed()
    metrics.commit_failed()
    metrics.rebalanced()
    metrics.transaction("aborted")
    assert value(metrics, "catena_consumed_total", topic="in", partition=3) == 520
    assert value(metrics, "catena_produced_total", topic="out") == 7
    assert value(metrics, "catena_failed_total", topic="in") == 2
    assert value(metrics, "catena_retried_total", topic="in") == 1
    assert value(metrics, "catena_dead_letters_total", topic="in") == 1
    assert value(metrics, "catena_commits_total") == 1
    assert value(metrics, "catena_commit_failures_total") == 1
    assert value(metrics, "catena_rebalances_total") == 1
    assert value(metrics, "catena_transactions_total", result="aborted") == 1


def test_two_links_in_one_process_do_not_mix():
    one, other = Metrics(), Metrics()
    one.committed()
    assert value(one, "catena_commits_total") == 1
    assert value(other, "catena_commits_total") == 0


def test_a_forgotten_partition_leaves_no_row_and_starts_anew():
    metrics = Metrics()
    metrics.consumed("in", 0, 5)
    metrics.consumed("in", 1, 5)
    metrics.forget("in", 0)
    metrics.forget("never seen", 0)
    assert value(metrics, "catena_consumed_total", topic="in", partition=0) is None
    assert value(metrics, "catena_consumed_total", topic="in", partition=1) == 5
    metrics.consumed("in", 0, 2)
    assert value(metrics, "catena_consumed_total", topic="in", partition=0) == 2


def test_the_consumers_state_is_that_of_the_moment():
    metrics = Metrics()
    lags = {("in", 0): 12, ("in", 1): 0}
    metrics.read_consumer(lambda: ConsumerState(dict(lags), {"lane 0": 3}, paused=1))
    assert value(metrics, "catena_lag", topic="in", partition=0) == 12
    assert value(metrics, "catena_lane_depth", lane="lane 0") == 3
    assert value(metrics, "catena_paused_partitions") == 1
    assert value(metrics, "catena_assigned_partitions") == 2
    del lags["in", 0]
    assert value(metrics, "catena_lag", topic="in", partition=0) is None
    assert value(metrics, "catena_assigned_partitions") == 1
    metrics.read_consumer(None)
    assert value(metrics, "catena_lag", topic="in", partition=1) is None
    assert value(metrics, "catena_assigned_partitions") == 0


@given(st.lists(st.tuples(st.floats(0, 200) | st.sampled_from(BUCKETS), st.integers(1, 500)), max_size=20))
def test_n_observations_at_once_are_n_observations(batches):
    metrics = Metrics()
    reference = Histogram("reference", "reference", ["topic"], registry=None, buckets=BUCKETS)
    for seconds, n in batches:
        metrics.transform_seconds("in", seconds, n)
        for _ in range(n):
            reference.labels("in").observe(seconds)
    (family,) = reference.collect()
    for sample in family.samples:
        if sample.name.endswith("_created"):
            continue
        name = sample.name.replace("reference", "catena_transform_seconds")
        assert value(metrics, name, **sample.labels) == pytest.approx(sample.value)


@pytest.mark.parametrize(("write", "read"), [(generate_latest, parse_text), (openmetrics, parse_openmetrics)])
def test_both_text_formats_are_valid_and_documented(write, read):
    metrics = Metrics()
    metrics.consumed('odd "name"\n\\', 0, 1)
    metrics.transform_seconds("in", 0.5, 3)
    metrics.read_consumer(lambda: ConsumerState({("in", 0): 1}, {"lane 0": 0}, 0))
    families = {family.name: family for family in read(write(metrics.registry).decode())}
    names = {name for name in families if name.startswith("catena_") and not name.endswith("_created")}
    assert len(names) == 14
    assert all(families[name].documentation for name in names)
    odd = next(sample for sample in families["catena_consumed"].samples if sample.name.endswith("_total"))
    assert odd.labels["topic"] == 'odd "name"\n\\'


def test_threads_that_count_at_once_lose_nothing():
    metrics = Metrics()

    def count():
        for _ in range(2000):
            metrics.consumed("in", 0, 1)
            metrics.transform_seconds("in", 0.001, 2)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "catena_consumed_total", topic="in", partition=0) == 8000
    assert value(metrics, "catena_transform_seconds_count", topic="in") == 16000
