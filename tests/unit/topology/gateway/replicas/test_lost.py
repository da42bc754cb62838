"""Losses reach the writer: at once when they grow, and again after a while."""

from __future__ import annotations

import pytest

from topology.gateway.replicas import lost
from topology.gateway.replicas.lost import LossReports
from topology.records import Loss


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(lost, "time", clock)
    return clock


def test_report_of_a_loss_is_sent_once_when_it_grows_and_again_after_a_while(clock: Clock) -> None:
    sent: list[Loss] = []
    reports = LossReports(sent.append)
    for number in (3, 3, 2, 5, 5):
        reports.report({"a": number})
    assert [(one.node, one.graphs) for one in sent] == [("a", 3), ("a", 5)]

    clock.now += 31
    reports.report({"a": 5})

    assert sent[2:] == [Loss("a", 1_031_000, 5)]


def test_report_of_a_second_loss_after_a_repair_is_sent_at_once(clock: Clock) -> None:
    sent: list[Loss] = []
    reports = LossReports(sent.append)
    for lost_now in ({"a": 3}, {}, {"a": 3}):
        reports.report(lost_now)

    assert len(sent) == 2
