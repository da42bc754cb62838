"""The machine's time, as links use it."""

import threading

from catena_core.clock import SystemClock
from tests.helpers.waiting import eventually


def launch(call):
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def test_waiting_ends_when_the_link_is_to_stop():
    stop = threading.Event()
    assert not SystemClock().wait(stop, 0.001)
    stop.set()
    assert SystemClock().wait(stop, 60)


def test_a_call_is_repeated_until_it_is_to_stop():
    stop, calls = threading.Event(), []
    thread = SystemClock().repeat(lambda: calls.append(1), 0.001, False, stop, launch)
    eventually(lambda: len(calls) >= 3)
    stop.set()
    thread.join(120)
    assert not thread.is_alive()


def test_the_first_call_may_wait_for_the_interval_and_never_come():
    stop, calls = threading.Event(), []
    thread = SystemClock().repeat(lambda: calls.append(1), 60, True, stop, launch)
    stop.set()
    thread.join(120)
    assert not thread.is_alive()
    assert calls == []


class Stop(threading.Event):
    """Set after so many waits, which it notes."""

    def __init__(self, most):
        super().__init__()
        self.most, self.waits = most, []

    def wait(self, timeout=None):
        self.waits.append(timeout)
        if len(self.waits) == self.most:
            self.set()
        return self.is_set()


def test_a_call_may_put_off_the_next_one():
    seconds, stop = [None, 1.0, 0.0, 1.0], Stop(4)
    SystemClock().repeat(lambda: seconds[len(stop.waits)], 0, False, stop, launch).join(120)
    assert [round(waited) for waited in stop.waits] == [0, 1, 0, 1]
    stop = Stop(1)
    SystemClock().repeat(lambda: 1.0, 600, False, stop, launch).join(120)
    assert round(stop.waits[0]) == 600
