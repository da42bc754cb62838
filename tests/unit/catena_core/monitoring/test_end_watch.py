"""The watch over a link's end: it tells of a step that hangs, interrupts a finish, and gives the link up at last."""

import threading
import time

import pytest

from catena_core.monitoring import end_watch
from catena_core.monitoring.end_watch import FINISH, EndWatch
from catena_core.monitoring.logs import LinkLogger
from tests.helpers.waiting import eventually


@pytest.fixture
def at_once(monkeypatch):
    """No step has any time."""
    monkeypatch.setattr(end_watch, "_TOLD_AFTER", 0.0)
    monkeypatch.setattr(end_watch, "_INTERRUPTED_AFTER", 0.0)
    monkeypatch.setattr(end_watch, "longest_end", lambda drain_timeout: 0.0)


class Watched:
    """A watch, and what it has done."""

    def __init__(self):
        self.stop, self.done = threading.Event(), []
        self.watch = EndWatch(
            LinkLogger("Shop"), self.stop, 0.0, lambda: self.done.append("interrupted"), self.done.append
        )


def test_a_step_that_hangs_is_told_with_all_stacks_and_given_up(at_once, caplog):
    watched = Watched()
    watched.watch.begin("the drain")
    time.sleep(0.5)
    assert not watched.done, "the link is not to stop"
    watched.stop.set()
    eventually(lambda: watched.done == ["the drain"])
    assert "the drain has not returned for" in caplog.text
    assert "test_a_step_that_hangs_is_told" in caplog.text
    assert "the drain hangs, and the link ends without it" in caplog.text


def test_a_finish_that_hangs_is_interrupted_before_it_is_given_up(at_once, caplog):
    watched = Watched()
    watched.watch.begin(FINISH)
    watched.stop.set()
    eventually(lambda: watched.done == ["interrupted", FINISH])
    assert caplog.text.count("interrupting it") == 1


def test_steps_that_return_in_time_are_not_told(caplog):
    watched = Watched()
    watched.stop.set()
    for step in ("the drain", FINISH, "the close"):
        watched.watch.begin(step)
        time.sleep(0.3)
    watched.watch.close()
    assert not watched.done and not caplog.records
