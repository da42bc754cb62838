"""Whose turn it is: the backlog against a simple model, and what its shares come to."""

import re
from collections import Counter, deque
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from catena_core.consuming.fair_queue import FairQueue, weight_of

TOPICS = ("a", "b", "c")
OWNERS = [(topic, number) for topic in TOPICS for number in range(2)]


class BacklogModel(RuleBasedStateMachine):
    """A list of single messages for each topic; nothing may be lost, doubled, or come out of turn."""

    def __init__(self):
        super().__init__()
        self.backlog = FairQueue(lambda topic: weight_of("exp", TOPICS, topic))
        self.model = {topic: deque() for topic in TOPICS}
        self.number = 0

    @rule(owner=st.sampled_from(OWNERS), count=st.integers(1, 5))
    def add(self, owner, count):
        messages = list(range(self.number, self.number + count))
        self.number += count
        self.backlog.add(owner[0], owner, messages)
        self.model[owner[0]].extend((owner, message) for message in messages)

    @precondition(lambda self: any(self.model.values()))
    @rule(most=st.integers(1, 4))
    def take(self, most):
        owner, messages = self.backlog.take(most)
        assert 1 <= len(messages) <= most
        expected = [self.model[owner[0]].popleft() for _ in messages]
        assert [(owner, message) for message in messages] == expected

    @rule(owner=st.sampled_from(OWNERS))
    def drop(self, owner):
        self.backlog.drop(lambda other: other is owner)
        kept = [item for item in self.model[owner[0]] if item[0] != owner]
        self.model[owner[0]] = deque(kept)

    @invariant()
    def it_says_whether_anything_waits(self):
        assert bool(self.backlog) == any(self.model.values())


TestBacklogAgainstItsModel = BacklogModel.TestCase
TestBacklogAgainstItsModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def serve(backlog, count, most=1):
    """How many of the first ``count`` messages that are served came from each topic."""
    served = Counter()
    while served.total() < count:
        owner, messages = backlog.take(min(most, count - served.total()))
        served[owner] += len(messages)
    return served


def saturated(mode, topics, each=100_000):
    backlog = FairQueue(lambda topic: weight_of(mode, topics, topic))
    electrons: Any = range(each)
    for topic in topics:
        backlog.add(topic, topic, electrons)
    return backlog


@settings(max_examples=40, deadline=None)
@given(topics=st.integers(2, 6), most=st.integers(1, 20), mode=st.sampled_from(["exp", "parity"]))
def test_under_saturation_each_topic_gets_its_share(topics, most, mode):
    names = [f"t{number}" for number in range(topics)]
    served = serve(saturated(mode, names), 1000, most)
    weights = {name: weight_of(mode, names, name) for name in names}
    for name in names:
        due = 1000 * weights[name] / sum(weights.values())
        # Stride scheduling errs by less than one slice for each pair of topics.
        assert abs(served[name] - due) <= most * topics


def test_each_topic_is_served_1_7_times_as_much_as_the_next():
    served = serve(saturated("exp", TOPICS), 9000)
    assert served["a"] / served["b"] == pytest.approx(1.7, rel=0.01)
    assert served["b"] / served["c"] == pytest.approx(1.7, rel=0.01)


def test_the_share_of_an_idle_topic_goes_to_the_others_in_their_proportion():
    backlog = FairQueue(lambda topic: weight_of("exp", TOPICS, topic))
    backlog.add("a", "a", list(range(10_000)))
    backlog.add("c", "c", list(range(10_000)))
    served = serve(backlog, 3000)
    assert served["a"] / served["c"] == pytest.approx(1.7**2, rel=0.01)


def test_a_topic_that_was_idle_cannot_claim_afterwards_what_it_did_not_use():
    backlog = saturated("parity", ("a", "b"))
    serve(backlog, 5000)
    backlog.add("late", "late", list(range(10_000)))
    served = serve(backlog, 300)
    assert all(served[name] == pytest.approx(100, abs=2) for name in ("a", "b", "late"))


def test_topics_that_a_pattern_finds_weigh_what_the_pattern_does():
    topics = ("^urgent-.*", "later")
    assert weight_of("exp", topics, "urgent-1") == weight_of("exp", topics, "urgent-2") == 1.7
    assert weight_of("exp", topics, "later") == 1.0
    assert weight_of("parity", topics, "urgent-1") == 1.0


@given(st.lists(st.from_regex(re.compile("[a-z]{1,5}"), fullmatch=True), min_size=1, max_size=6, unique=True))
def test_the_order_of_the_input_topics_is_the_order_of_their_weights(topics):
    weights = [weight_of("exp", topics, topic) for topic in topics]
    assert weights == sorted(weights, reverse=True)
    assert len(set(weights)) == len(weights)
    assert {weight_of("parity", topics, topic) for topic in topics} == {1.0}
